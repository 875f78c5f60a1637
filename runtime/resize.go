package runtime

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/typeurl/v2"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/types/known/anypb"
)

// Resize implements agent.Containers. The limits are changed in the cgroup
// first, then in the stored spec, which containerd itself leaves as it was.
func (r *Runtime) Resize(ctx context.Context, id string, res *specs.LinuxResources) error {
	ctx = r.scope(ctx)
	asked, err := typeurl.MarshalAny(res)
	if err != nil {
		return fmt.Errorf("encode the limits of container %q: %w", id, err)
	}
	if _, err := r.client.TaskService().Update(ctx, &tasks.UpdateTaskRequest{
		ContainerID: id, Resources: typeurl.MarshalProto(asked),
	}); err != nil {
		return failed("resize container", id, err)
	}
	c, err := r.client.ContainerService().Get(ctx, id)
	if err != nil {
		return failed("read container", id, err)
	}
	stored, err := withLimits(c.Spec, res)
	if err != nil {
		return fmt.Errorf("store the limits of container %q: %w", id, err)
	}
	if _, err := r.client.ContainerService().Update(ctx, containers.Container{ID: id, Spec: stored}, "spec"); err != nil {
		return failed("store the limits of container", id, err)
	}
	return nil
}

// withLimits returns a stored spec with the limits that res names; its devices
// stay.
func withLimits(stored typeurl.Any, res *specs.LinuxResources) (typeurl.Any, error) {
	var s specs.Spec
	if err := json.Unmarshal(stored.GetValue(), &s); err != nil {
		return nil, err
	}
	if s.Linux == nil {
		s.Linux = &specs.Linux{}
	}
	merged := *res
	if s.Linux.Resources != nil {
		merged.Devices = s.Linux.Resources.Devices
	}
	s.Linux.Resources = &merged
	b, err := json.Marshal(&s)
	if err != nil {
		return nil, err
	}
	return &anypb.Any{TypeUrl: stored.GetTypeUrl(), Value: b}, nil
}
