// Package pod holds the values of podstead's domain: which pods are wanted,
// what was observed of them, and what is shown of them. It has no behaviour
// beyond equality, formatting and small queries, reads no clock and does no
// I/O, so that every other package may import it and it imports none of ours.
package pod

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/types"
)

// Key identifies a pod on this server by namespace and name.
type Key struct {
	Namespace string
	Name      string
}

// String returns "namespace/name".
func (k Key) String() string { return k.Namespace + "/" + k.Name }

// Less orders keys by namespace, then name.
func (k Key) Less(other Key) bool {
	if k.Namespace != other.Namespace {
		return k.Namespace < other.Namespace
	}
	return k.Name < other.Name
}

// Instance is one life of a pod. A change that only a new pod can have makes
// a new instance; a change in place does not. Numbers start at 1, rise by one
// and are not used twice for one key.
type Instance struct {
	Key
	Number int
}

// String returns "namespace/name#number".
func (i Instance) String() string { return i.Key.String() + "#" + strconv.Itoa(i.Number) }

// UID derives the pod UID of an instance: a UUID of version 5 over the node's
// id, the namespace, the name and the number. It does not depend on the spec,
// so an edit in place and an upgrade of podstead keep it.
func UID(nodeID string, i Instance) types.UID {
	name := fmt.Sprintf("%s/%s/%s/%d", nodeID, i.Namespace, i.Name, i.Number)
	return types.UID(uuid.NewSHA1(uuid.NameSpaceURL, []byte("podstead:"+name)).String())
}

// ObjectUID derives the UID of an object other than a pod, in the same way. An
// object that is removed and comes back has the UID that it had.
func ObjectUID(nodeID string, k ObjectKey) types.UID {
	name := fmt.Sprintf("%s/%s/%s/%s", nodeID, k.Kind, k.Namespace, k.Name)
	return types.UID(uuid.NewSHA1(uuid.NameSpaceURL, []byte("podstead:object:"+name)).String())
}

// ContainerID is the planned name of one run of a container in containerd. It
// is known before the container is made, so making it can be repeated: 64 hex
// digits derived from the pod's UID, the container's name and the attempt.
func ContainerID(uid types.UID, container string, attempt int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", uid, container, attempt))
	return hex.EncodeToString(sum[:])
}
