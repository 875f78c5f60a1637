package metrics

import (
	"slices"

	"github.com/podstead/podstead/pod"
)

// storageFamilies are about file systems and the images on them.
func storageFamilies() []family {
	of := func(name, help string, get func(f *pod.Filesystem) (float64, bool)) family {
		return family{name: name, kind: gauge, help: help, labels: []string{"use"}, each: func(v *view, row emit) { filesystems(v, get, row) }}
	}
	total := func(name, help string, get func(c *pod.Counters) uint64) family {
		return value(name, counter, help, func(v *view) float64 { return float64(get(&v.snap.Counters)) })
	}
	bounded := func(get func(f *pod.Filesystem) int64) func(f *pod.Filesystem) (float64, bool) {
		return func(f *pod.Filesystem) (float64, bool) { return float64(get(f)), f.Inodes > 0 }
	}
	bytes := func(get func(f *pod.Filesystem) int64) func(f *pod.Filesystem) (float64, bool) {
		return func(f *pod.Filesystem) (float64, bool) { return float64(get(f)), true }
	}
	return []family{
		of("podstead_filesystem_size_bytes", "Size of the file system on which images, state, logs or the files of this boot (run) lie; they may share one.",
			bytes(func(f *pod.Filesystem) int64 { return f.Size })),
		of("podstead_filesystem_available_bytes", "What can still be written there, to a hundredth of the size.", bytes(func(f *pod.Filesystem) int64 { return f.Available })),
		of("podstead_filesystem_inodes", "How many files it can hold. Missing where there is no bound.", bounded(func(f *pod.Filesystem) int64 { return f.Inodes })),
		of("podstead_filesystem_inodes_free", "How many more files it can hold. Missing where there is no bound.", bounded(func(f *pod.Filesystem) int64 { return f.InodesFree })),
		of("podstead_filesystem_pressure", "1 when it is short of bytes or files, or can't be written.", func(f *pod.Filesystem) (float64, bool) { return boolean(f.Pressure != ""), true }),
		value("podstead_image_gc_stuck", gauge, "1 when room is wanted and no image can be removed.", func(v *view) float64 { return boolean(v.snap.Disk.Stuck != "") }),
		collected("podstead_image_gc_removed_total", "Images that were removed: for space, or because of their age."),
		total("podstead_image_gc_removed_bytes_total", "What the removed images took; what they shared with others is counted in full.", func(c *pod.Counters) uint64 { return c.ImageBytes }),
		total("podstead_image_gc_layers_dropped_total", "Writable layers of dead containers that were dropped for space.", func(c *pod.Counters) uint64 { return c.LayersDropped }),
		total("podstead_image_gc_errors_total", "What could not be removed to make space.", func(c *pod.Counters) uint64 { return c.CollectErrors }),
	}
}

// collected counts removed images by the kubelet's reasons.
func collected(name, help string) family {
	return family{name: name, kind: counter, help: help, labels: []string{"reason"}, each: func(v *view, row emit) {
		for _, reason := range []string{"age", "space"} {
			row(float64(v.snap.Counters.ImagesCollected[reason]), []string{reason})
		}
	}}
}

// filesystems has one row for each use, in the order of their names.
func filesystems(v *view, get func(f *pod.Filesystem) (float64, bool), row emit) {
	byUse := map[string]*pod.Filesystem{}
	var uses []string
	for i := range v.snap.Disk.Filesystems {
		f := &v.snap.Disk.Filesystems[i]
		for _, use := range f.Uses {
			byUse[use] = f
			uses = append(uses, use)
		}
	}
	slices.Sort(uses)
	for _, use := range uses {
		if n, ok := get(byUse[use]); ok {
			row(n, []string{use})
		}
	}
}
