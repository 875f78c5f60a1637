package api

// streamProtocol is the sub-protocol of Kubernetes for streams over a
// websocket: binary messages whose first byte names the channel.
const streamProtocol = "v5.channel.k8s.io"

// The channels of streamProtocol.
const (
	channelStdin  = 0
	channelStdout = 1
	channelStderr = 2
	// channelError carries one metav1.Status at the end.
	channelError = 3
	// channelResize carries a TerminalSize as JSON.
	channelResize = 4
	// channelClose tells, by its one byte of content, which channel gets no
	// more.
	channelClose = 255
)

// maxMessage bounds what one message may carry, in bytes.
const maxMessage = 1 << 20
