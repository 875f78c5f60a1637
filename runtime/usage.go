package runtime

import "context"

// LayerUsage measures what the writable layer of a container takes on disk, in
// bytes. The snapshotter reads the whole layer, so it takes time on large ones.
func (r *Runtime) LayerUsage(ctx context.Context, id string) (int64, error) {
	usage, err := r.client.SnapshotService(r.cfg.Snapshotter).Usage(r.scope(ctx), id)
	if err != nil {
		return 0, failed("measure the layer of container", id, err)
	}
	return usage.Size, nil
}
