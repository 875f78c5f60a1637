package runtime

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/typeurl/v2"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/spec"
)

// plan works out everything about a run before anything is made.
func (r *Runtime) plan(ctx context.Context, q *pod.StartRequest) (*launch, error) {
	if q.ID == "" || q.Pod == nil || q.CgroupPath == "" {
		return nil, fmt.Errorf("start container %q of %s: %w", q.Name, q.Instance, errNoRequest)
	}
	in := spec.Input{Request: *q, Host: r.cfg.Host}
	l := &launch{}
	if q.Role == pod.RolePause {
		in.RootPath = r.cfg.PauseRootfs
	} else if err := r.addImage(ctx, q, &in, l); err != nil {
		return nil, err
	}
	l.record = r.newRecord(q, in.Image.StopSignal)
	in.TerminationLog = l.record.MessagePath
	if c := pod.ContainerSpec(q.Pod, q.Name); c != nil {
		l.terminal = c.TTY
	}
	profile, err := r.seccompProfile(q)
	if err != nil {
		return nil, err
	}
	in.SeccompProfile = profile
	built, err := spec.Build(in)
	if err != nil {
		return nil, err
	}
	encoded, err := typeurl.MarshalAny(built)
	if err != nil {
		return nil, fmt.Errorf("encode the spec of container %q: %w", q.ID, err)
	}
	return l, r.fill(l, q, encoded)
}

// addImage brings what the spec needs of the image.
func (r *Runtime) addImage(ctx context.Context, q *pod.StartRequest, in *spec.Input, l *launch) error {
	info, err := r.info(ctx, q.Image)
	if isNotFound(err) {
		return fmt.Errorf("%w: %w", pod.ErrImageGone, err)
	}
	if err != nil {
		return err
	}
	users, err := r.userFiles(ctx, q.Image, info)
	if err != nil {
		return err
	}
	in.Image, in.Passwd, in.Group = info.config, users.passwd, users.group
	l.chainID = info.chainID
	return nil
}

// fill completes the container as containerd stores it.
func (r *Runtime) fill(l *launch, q *pod.StartRequest, encoded typeurl.Any) error {
	made, err := encodePart(partRecord, l.record)
	if err != nil {
		return err
	}
	asked, err := encodePart(partPod, wanted{Pod: q.Pod, Origin: q.Origin})
	if err != nil {
		return err
	}
	with, err := r.runtimeInfo()
	if err != nil {
		return err
	}
	l.container = containers.Container{
		ID:         q.ID,
		Labels:     labels(r.cfg.NodeID, q),
		Image:      q.Image.Ref,
		Runtime:    with,
		Spec:       encoded,
		Extensions: map[string]typeurl.Any{partRecord: made, partPod: asked},
	}
	if l.chainID != "" {
		l.container.Snapshotter, l.container.SnapshotKey = r.cfg.Snapshotter, q.ID
	}
	return nil
}

// seccompProfile reads the profile that a container asks for by name. One that
// is not there is left to spec.Build to refuse.
func (r *Runtime) seccompProfile(q *pod.StartRequest) ([]byte, error) {
	path, ok := spec.SeccompFile(q.Pod, q.Name)
	if !ok || r.cfg.SeccompDir == "" {
		return nil, nil
	}
	b, err := readInRoot(r.cfg.SeccompDir, path)
	if err != nil {
		return nil, ignoreMissing(err)
	}
	return b, nil
}
