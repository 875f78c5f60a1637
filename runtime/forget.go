package runtime

import (
	"context"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
)

// RemoveNamespace deletes our images and leases from a containerd that goes on
// without us, and then our namespace. While a container is in it, which can only
// be another installation's by now, all stays as it is.
func (r *Runtime) RemoveNamespace(ctx context.Context) error {
	ctx = r.scope(ctx)
	used, err := r.client.ContainerService().List(ctx)
	if err != nil {
		return failed("list the containers in namespace", r.cfg.Namespace, err)
	}
	if len(used) > 0 {
		return nil
	}
	held, err := r.client.LeasesService().List(ctx)
	if err != nil {
		return failed("list the leases in namespace", r.cfg.Namespace, err)
	}
	for _, l := range held {
		if err := r.client.LeasesService().Delete(ctx, l, leases.SynchronousDelete); err != nil && !isNotFound(err) {
			return failed("delete lease", l.ID, err)
		}
	}
	list, err := r.client.ImageService().List(ctx)
	if err != nil {
		return failed("list the images in namespace", r.cfg.Namespace, err)
	}
	for i, img := range list {
		var how []images.DeleteOpt
		if i == len(list)-1 {
			how = append(how, images.SynchronousDelete()) // content and snapshots of all
		}
		if err := r.client.ImageService().Delete(ctx, img.Name, how...); err != nil && !isNotFound(err) {
			return failed("delete image", img.Name, err)
		}
	}
	if err := r.client.NamespaceService().Delete(ctx, r.cfg.Namespace); err != nil && !isNotFound(err) {
		return failed("delete namespace", r.cfg.Namespace, err)
	}
	return nil
}
