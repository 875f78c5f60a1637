package runtime

import (
	"fmt"
	"testing"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"golang.org/x/sys/unix"
)

// BenchmarkStart is a container from nothing to its process, the image being
// there. Compare it with BenchmarkBareClient.
func BenchmarkStart(b *testing.B) {
	for name, change := range map[string]func(*Config){
		"logged":   func(*Config) {},
		"unlogged": func(c *Config) { c.LoggerPath = "" },
	} {
		b.Run(name, func(b *testing.B) {
			h, img := newHostWithImage(b, change)
			for i := 0; b.Loop(); i++ {
				q := h.request(img, fmt.Sprintf("web-%d", i), "wait")
				h.start(q)
				b.StopTimer()
				if err := h.Kill(b.Context(), q.ID); err != nil {
					b.Fatal(err)
				}
				h.reap(q.ID)
				if err := h.Remove(b.Context(), q.ID); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkBareClient does the same with containerd's own client and nothing
// else.
func BenchmarkBareClient(b *testing.B) {
	h, ref := newHostWithImage(b)
	ctx := h.scope(b.Context())
	img, err := h.client.GetImage(ctx, ref.Ref)
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		id := fmt.Sprintf("bare-%d", i)
		c, err := h.client.NewContainer(ctx, id,
			containerd.WithImage(img), containerd.WithNewSnapshot(id, img),
			containerd.WithNewSpec(oci.WithImageConfigArgs(img, []string{"wait"}), oci.WithCgroup(h.cgroup+"/"+id)))
		if err != nil {
			b.Fatal(err)
		}
		task, err := c.NewTask(ctx, cio.NullIO)
		if err != nil {
			b.Fatal(err)
		}
		ended, err := task.Wait(ctx)
		if err != nil {
			b.Fatal(err)
		}
		if err := task.Start(ctx); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := task.Kill(ctx, unix.SIGKILL); err != nil {
			b.Fatal(err)
		}
		<-ended
		if _, err := task.Delete(ctx); err != nil {
			b.Fatal(err)
		}
		if err := c.Delete(ctx, containerd.WithSnapshotCleanup); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
