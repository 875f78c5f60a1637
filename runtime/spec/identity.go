package spec

import (
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
)

// effective puts the container's security context over its pod's.
func effective(p *corev1.Pod, c *corev1.Container) corev1.SecurityContext {
	var sc corev1.SecurityContext
	if c.SecurityContext != nil {
		sc = *c.SecurityContext
	}
	of := p.Spec.SecurityContext
	if of == nil {
		return sc
	}
	orPod(&sc.RunAsUser, of.RunAsUser)
	orPod(&sc.RunAsGroup, of.RunAsGroup)
	orPod(&sc.RunAsNonRoot, of.RunAsNonRoot)
	orPod(&sc.SeccompProfile, of.SeccompProfile)
	orPod(&sc.AppArmorProfile, of.AppArmorProfile)
	return sc
}

func orPod[T any](own **T, pods *T) {
	if *own == nil {
		*own = pods
	}
}

// user resolves who the process runs as and checks runAsNonRoot on the
// outcome, so that the check holds on every start.
func (b *builder) user() (specs.User, error) {
	who, field := b.who()
	if err := b.checkNumeric(who); err != nil {
		return specs.User{}, err
	}
	id, err := resolveUser(who, b.in.Passwd, b.in.Group)
	if err != nil {
		return specs.User{}, b.refuse(reasonCreate, field, "user %s of image %s: %v", quote(who), b.imageName(), err)
	}
	if err := b.checkNonRoot(id); err != nil {
		return specs.User{}, err
	}
	groups, err := b.groups(id)
	if err != nil {
		return specs.User{}, err
	}
	return specs.User{UID: id.uid, GID: id.gid, AdditionalGids: groups}, nil
}

// who returns the user as USER[:GROUP] and the field that decided it. The
// image's group goes with the image's user only.
func (b *builder) who() (who, field string) {
	who, field = b.in.Image.User, "/config.User"
	if b.sc.RunAsUser != nil {
		who, field = strconv.FormatInt(*b.sc.RunAsUser, 10), "securityContext.runAsUser"
	}
	if b.sc.RunAsGroup != nil {
		name, _, _ := strings.Cut(who, ":")
		who = name + ":" + strconv.FormatInt(*b.sc.RunAsGroup, 10)
	}
	return who, field
}

// checkNumeric refuses a name where runAsNonRoot is asked for: what a name
// means is the image's to say, and may change with it.
func (b *builder) checkNumeric(who string) error {
	name, _, _ := strings.Cut(who, ":")
	if !isTrue(b.sc.RunAsNonRoot) || name == "" || isNumeric(name) {
		return nil
	}
	return b.refuse(reasonConfig, "securityContext.runAsNonRoot",
		"container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root", quote(name))
}

func (b *builder) checkNonRoot(id identity) error {
	if !isTrue(b.sc.RunAsNonRoot) || id.uid != 0 {
		return nil
	}
	if b.sc.RunAsUser != nil {
		return b.refuse(reasonConfig, "securityContext.runAsUser", "container's runAsUser breaks non-root policy: got 0, want 1 or more")
	}
	return b.refuse(reasonConfig, "securityContext.runAsNonRoot",
		"container has runAsNonRoot and image will run as root: set runAsUser to 1 or more, or use an image with a numeric USER")
}

// groups returns the supplementary groups, ascending: the primary group
// (a process without it in the list could shed it), those that the image's
// files give to the user unless the policy is Strict, and the pod's own.
func (b *builder) groups(id identity) ([]uint32, error) {
	groups := []uint32{id.gid}
	if psc := b.req.Pod.Spec.SecurityContext; psc != nil {
		asked := slices.Clone(psc.SupplementalGroups)
		if psc.FSGroup != nil {
			asked = append(asked, *psc.FSGroup)
		}
		for _, g := range asked {
			if !validGID(g) {
				return nil, b.refuse(reasonConfig, "securityContext", "group %d of the pod's supplementalGroups or fsGroup is not in 0..2147483647", g)
			}
			groups = append(groups, uint32(g))
		}
	}
	if !b.strictGroups() {
		groups = append(groups, id.groups...)
	}
	slices.Sort(groups)
	groups = slices.Compact(groups)
	if len(groups) > maxGroups {
		return nil, b.refuse(reasonCreate, "/etc/group", "the user is in %d groups, at most %d are possible", len(groups), maxGroups)
	}
	return groups, nil
}

func (b *builder) strictGroups() bool {
	psc := b.req.Pod.Spec.SecurityContext
	return psc != nil && psc.SupplementalGroupsPolicy != nil &&
		*psc.SupplementalGroupsPolicy == corev1.SupplementalGroupsPolicyStrict
}
