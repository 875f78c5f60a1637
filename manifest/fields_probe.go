package manifest

import "slices"

func probeFields() []Field {
	return slices.Concat(of("Probe",
		supported("exec", "httpGet", "tcpSocket", "grpc", "initialDelaySeconds"),
		supportedNote("timeoutSeconds", "at most the period"),
		supportedNote("periodSeconds", "at least 1; for less there are annotations, see probes.md"),
		supported("successThreshold", "failureThreshold", "terminationGracePeriodSeconds"),
	), of("Lifecycle",
		supported("postStart", "preStop"),
		refused("stopSignal", laterOn+"; set STOPSIGNAL in the image"),
	), of("LifecycleHandler",
		supported("exec", "httpGet"),
		refused("tcpSocket", "deprecated in Kubernetes, where it only fails; use exec, httpGet or sleep"),
		supported("sleep"),
	), of("ExecAction",
		supportedNote("command", "no shell; $(NAME) refers to variables of the container whose value stands in the manifest"),
	), of("HTTPGetAction",
		supported("path"),
		supportedNote("port", "a number, or the name of a port of the container"),
		supportedNote("host", "the pod's address if not set; Pod Security level baseline forbids it"),
		supportedNote("scheme", "HTTP, or HTTPS, whose certificate is not verified"),
		supported("httpHeaders"),
		refused("protocol", "probes speak HTTP/1.1", "HTTP1"),
	), of("HTTPHeader",
		supported("name", "value"),
	), of("TCPSocketAction",
		supportedNote("port", "a number, or the name of a port of the container"),
		supportedNote("host", "the pod's address if not set; Pod Security level baseline forbids it"),
	), of("GRPCAction",
		supported("port", "service"),
		supportedNote("mode", "Plaintext, or TLS, whose certificate is not verified"),
	), of("SleepAction",
		supportedNote("seconds", "at most the pod's terminationGracePeriodSeconds"),
	))
}
