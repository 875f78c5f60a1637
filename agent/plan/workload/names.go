package workload

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// The annotations of Kubernetes that pods and derived ReplicaSets bear.
const (
	RevisionAnnotation    = "deployment.kubernetes.io/revision"
	RestartedAtAnnotation = "kubectl.kubernetes.io/restartedAt"
)

// HashLabel is the label that names the revision of a kind's pods; empty for
// kinds whose pods have none.
func HashLabel(kind pod.Kind) string {
	switch kind {
	case pod.KindDeployment:
		return appsv1.DefaultDeploymentUniqueLabelKey
	case pod.KindDaemonSet:
		return appsv1.DefaultDaemonSetUniqueLabelKey
	default:
		return ""
	}
}

// alphabet is that of Kubernetes' generated names: no vowels and nothing that
// looks like one, so that no words arise.
const alphabet = "bcdfghjklmnpqrstvwxz2456789"

const (
	suffixLength = 5
	hashLength   = 10
	// maxName is how long the name of a pod may be to be a host name.
	maxName = 63
	// suffixes is how many suffixes there are: len(alphabet)^suffixLength.
	suffixes = 27 * 27 * 27 * 27 * 27
)

// spell writes the lowest digits of n in the alphabet.
func spell(n uint64, length int) string {
	b := make([]byte, length)
	for i := range b {
		b[i] = alphabet[n%uint64(len(alphabet))]
		n /= uint64(len(alphabet))
	}
	return string(b)
}

func number(parts ...string) uint64 {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// templateHash names a revision. Salt keeps two templates apart that would
// have one hash.
func templateHash(owner pod.ObjectKey, t *corev1.PodTemplateSpec, salt int) string {
	text, err := json.Marshal(t)
	if err != nil {
		// Only numbers that are none fail, and the API has no such field.
		text = []byte(err.Error())
	}
	return spell(number(owner.String(), string(text), strconv.Itoa(salt)), hashLength)
}

// replicaSetName names the ReplicaSet of a Deployment's revision.
func replicaSetName(owner, hash string) string { return owner + "-" + hash }

// PodName is the name of a workload's index-th pod of a revision. Different
// indices have different names; the suffix looks like a random one, as people
// know it, and is none.
func PodName(owner pod.ObjectKey, hash string, index int) string {
	base := cut(owner.Name, maxName-suffixLength-1)
	if owner.Kind == pod.KindDeployment {
		base = replicaSetName(cut(owner.Name, maxName-suffixLength-hashLength-2), hash)
	}
	// 7368787 and 27 have no divisor in common, so that this is a permutation.
	n := (number(owner.String(), hash) + uint64(index)*7368787) % suffixes
	return base + "-" + spell(n, suffixLength)
}

// cut shortens a name to what can be followed by "-" in one.
func cut(name string, length int) string {
	if len(name) <= length {
		return name
	}
	return strings.TrimRight(name[:length], "-.")
}

// build makes the pod of a revision.
func (r *decider) build(rev *Revision, name string) *pod.Desired {
	t := rev.Template
	p := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: r.meta.Namespace, Finalizers: t.Finalizers,
			Labels: t.Labels, Annotations: t.Annotations,
			OwnerReferences: []metav1.OwnerReference{r.owner(rev)},
		},
		Spec: t.Spec,
	}
	if r.hashLabel != "" {
		p.Labels = with(t.Labels, r.hashLabel, rev.Hash)
	}
	if r.object.Kind == pod.KindDeployment {
		p.Annotations = with(p.Annotations, RevisionAnnotation, strconv.FormatInt(rev.Number, 10))
	}
	if r.returns(rev) {
		asBefore(p, rev)
	}
	key := pod.Key{Namespace: p.Namespace, Name: name}
	return &pod.Desired{Key: key, Pod: p, Origin: r.object.Origin}
}

// owner is the controller of a revision's pods: the ReplicaSet of a
// Deployment's, the workload itself else.
func (r *decider) owner(rev *Revision) metav1.OwnerReference {
	if r.object.Kind != pod.KindDeployment {
		return r.reference(r.object.ObjectKey)
	}
	key := pod.Key{Namespace: r.meta.Namespace, Name: replicaSetName(r.meta.Name, rev.Hash)}
	return r.reference(pod.ObjectKey{Kind: pod.KindReplicaSet, Key: key})
}

func (r *decider) reference(to pod.ObjectKey) metav1.OwnerReference {
	yes := true
	return metav1.OwnerReference{
		APIVersion: "apps/v1", Kind: string(to.Kind), Name: to.Name, UID: pod.ObjectUID(r.NodeID, to),
		Controller: &yes, BlockOwnerDeletion: &yes,
	}
}

// Owner tells which workload a recorded pod belongs to; ok is false for pods
// of none. It undoes what owner references say of a Deployment's pods.
func Owner(p *corev1.Pod) (owner pod.ObjectKey, ok bool) {
	ref := metav1.GetControllerOf(p)
	if ref == nil || ref.APIVersion != "apps/v1" {
		return pod.ObjectKey{}, false
	}
	owner = pod.ObjectKey{Kind: pod.Kind(ref.Kind), Key: pod.Key{Namespace: p.Namespace, Name: ref.Name}}
	hash := p.Labels[HashLabel(pod.KindDeployment)]
	if name, derived := strings.CutSuffix(ref.Name, "-"+hash); derived && hash != "" && p.Annotations[RevisionAnnotation] != "" {
		owner.Kind, owner.Name = pod.KindDeployment, name
	}
	return owner, true
}

func with(m map[string]string, key, value string) map[string]string {
	out := make(map[string]string, len(m)+1)
	maps.Copy(out, m)
	out[key] = value
	return out
}

// describe names a revision for people.
func (r *decider) describe(rev *Revision) string {
	if r.object.Kind == pod.KindDeployment {
		return fmt.Sprintf("revision %d (%s)", rev.Number, replicaSetName(r.meta.Name, rev.Hash))
	}
	return fmt.Sprintf("revision %d (%s)", rev.Number, rev.Hash)
}
