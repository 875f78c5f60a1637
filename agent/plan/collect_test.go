package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// stored is an image that was last used so long before noon.
func stored(name string, ago time.Duration, change ...func(*pod.StoredImage)) pod.StoredImage {
	img := pod.StoredImage{Digest: "sha256:" + name, Names: []string{"docker.io/library/" + name + ":1"}, Size: 10 << 20, LastUsed: noon.Add(-ago)}
	for _, c := range change {
		c(&img)
	}
	return img
}

func kept(why string) func(*pod.StoredImage) { return func(i *pod.StoredImage) { i.Kept = why } }

// disk has so many of 1,000 MiB available.
func disk(available int64) pod.Filesystem {
	return pod.Filesystem{Path: "/state", Size: 1000 << 20, Available: available << 20, Inodes: 1000, InodesFree: 500}
}

func step(c plan.Collection) string {
	switch {
	case c.Sweep:
		return "sweep"
	case len(c.Layers) > 0:
		return "layers " + strings.Join(c.Layers, " ")
	case c.Image != nil:
		return fmt.Sprintf("%s for %s", c.Image.Digest, c.Reason)
	case c.Stuck != "":
		return "stuck"
	default:
		return "nothing"
	}
}

func TestCollect(t *testing.T) {
	s := plan.DefaultImageSettings()
	old := s
	old.MaximumAge = time.Hour
	off := s
	off.High = 100
	const now = pod.Moment(24 * time.Hour)
	images := []pod.StoredImage{stored("a", time.Hour), stored("b", 3*time.Hour), stored("c", 9*time.Hour, kept("used by pod x")), stored("d", 2*time.Hour)}
	long := map[string]pod.Moment{"sha256:a": 0, "sha256:b": 0, "sha256:d": 0}
	fresh := map[string]pod.Moment{"sha256:a": now.Add(-time.Minute), "sha256:b": now.Add(-90 * time.Second), "sha256:d": now.Add(-time.Second)}
	noInodes := disk(500)
	noInodes.InodesFree = 50
	for name, tc := range map[string]struct {
		settings plan.ImageSettings
		storage  plan.Storage
		want     string
		wake     time.Duration
	}{
		"there is room":                      {s, plan.Storage{Disk: disk(151)}, "nothing", 0},
		"first what nobody needs":            {s, plan.Storage{Disk: disk(150), Layers: []string{"x"}}, "sweep", 0},
		"then layers of the dead":            {s, plan.Storage{Disk: disk(150), Layers: []string{"x", "y"}, Swept: true}, "layers x y", 0},
		"then what was used the longest ago": {s, plan.Storage{Disk: disk(150), Swept: true}, "sha256:b for space", 0},
		"it goes on below the threshold":     {s, plan.Storage{Disk: disk(199), Swept: true, Active: true}, "sha256:b for space", 0},
		"down to the low one":                {s, plan.Storage{Disk: disk(200), Swept: true, Active: true}, "nothing", 0},
		"it does not begin between the two":  {s, plan.Storage{Disk: disk(199), Swept: true}, "nothing", 0},
		"what was used lately stays":         {s, plan.Storage{Disk: disk(0), Swept: true, Unused: fresh}, "stuck", 30 * time.Second},
		"nobody knows since when":            {s, plan.Storage{Disk: disk(0), Swept: true, Unused: map[string]pod.Moment{}}, "stuck", 2 * time.Minute},
		"files are short":                    {s, plan.Storage{Disk: noInodes, Swept: true}, "sha256:b for space", 0},
		"an image wants room":                {s, plan.Storage{Disk: disk(500), Swept: true, Wanted: 600 << 20}, "sha256:b for space", 0},
		"an image has its room":              {s, plan.Storage{Disk: disk(600), Swept: true, Wanted: 600 << 20}, "nothing", 0},
		"it is switched off":                 {off, plan.Storage{Disk: disk(0), Swept: true, Wanted: 1}, "nothing", 0},
		"an old one goes though there is room": {old, plan.Storage{Disk: disk(900), Unused: map[string]pod.Moment{
			"sha256:a": now.Add(-59 * time.Minute), "sha256:b": now.Add(-time.Hour), "sha256:d": now}}, "sha256:b for age", 0},
		"not before": {old, plan.Storage{Disk: disk(900), Unused: map[string]pod.Moment{
			"sha256:a": now.Add(-59 * time.Minute), "sha256:b": now.Add(-58 * time.Minute), "sha256:d": now}}, "nothing", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.storage.Unused == nil {
				tc.storage.Unused = long
			}
			tc.storage.Images = images
			c := tc.settings.Collect(tc.storage, now)
			if got := step(c); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
			if tc.wake > 0 && c.Wake != now.Add(tc.wake) {
				t.Errorf("wakes in %s, want %s", c.Wake.Sub(now), tc.wake)
			}
		})
	}
	c := s.Collect(plan.Storage{Disk: disk(0), Swept: true, Unused: fresh, Images: images}, now)
	if want := "no image can be removed: 1 are in use, pinned or the last good ones of pods (10Mi), 3 were used less than 2m0s ago"; c.Stuck != want {
		t.Errorf("stuck: %q, want %q", c.Stuck, want)
	}
}

// TestCollectLaws: however full the disk is, what is kept or young never goes,
// the order is that of the last use, and the collection comes to an end.
func TestCollectLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := plan.ImageSettings{High: rapid.IntRange(2, 99).Draw(t, "high"), MinimumAge: time.Minute}
		s.Low = rapid.IntRange(1, s.High-1).Draw(t, "low")
		const now = pod.Moment(time.Hour)
		st := plan.Storage{Unused: map[string]pod.Moment{}, Disk: pod.Filesystem{Size: 1000}}
		used := int64(rapid.IntRange(0, 900).Draw(t, "other"))
		for i := range rapid.IntRange(0, 8).Draw(t, "images") {
			img := pod.StoredImage{Digest: fmt.Sprint(i), Size: int64(rapid.IntRange(0, 100).Draw(t, "size")),
				LastUsed: noon.Add(time.Duration(rapid.IntRange(-5, 5).Draw(t, "used")) * time.Minute)}
			if rapid.Bool().Draw(t, "kept") {
				img.Kept = "used"
			}
			st.Unused[img.Digest] = now.Add(-time.Duration(rapid.IntRange(0, 120).Draw(t, "age")) * time.Second)
			used += img.Size
			st.Images = append(st.Images, img)
		}
		var last time.Time
		for n := 0; ; n++ {
			if n > 20 {
				t.Fatal("the collection does not end")
			}
			st.Disk.Available = max(0, 1000-used)
			c := s.Collect(st, now)
			st.Active = c.Active
			switch {
			case c.Sweep:
				st.Swept = true
				continue
			case c.Image == nil:
				full := 1000-st.Disk.Available >= int64(10*s.High)
				if full && c.Stuck == "" {
					t.Fatalf("%d of 1000 are available, and nothing is done", st.Disk.Available)
				}
				return
			}
			if c.Image.Kept != "" || now.Sub(st.Unused[c.Image.Digest]) < s.MinimumAge {
				t.Fatalf("%+v goes", c.Image)
			}
			if c.Image.LastUsed.Before(last) {
				t.Fatalf("%+v goes after one that was used at %s", c.Image, last)
			}
			last = c.Image.LastUsed
			used -= c.Image.Size
			for i := range st.Images {
				if st.Images[i].Digest == c.Image.Digest {
					st.Images = append(st.Images[:i:i], st.Images[i+1:]...)
					break
				}
			}
		}
	})
}

func TestKept(t *testing.T) {
	s := plan.ImageSettings{Pinned: []string{"registry.example.com/base/*", "redis", "quay.io/*/tool:1"}}
	u := plan.Uses{
		Digests: map[string]string{"sha256:used": "a/b"},
		Names:   map[string]string{"nginx": "c/d", "nginx:bad name": "nobody", "other.example/x@sha256:" + strings.Repeat("a", 64): "e/f"},
		Pulling: []string{"docker.io/library/coming:2"},
		Good:    map[string]string{"sha256:good": "g/h"},
	}
	named := func(digest string, names ...string) pod.StoredImage {
		return pod.StoredImage{Digest: digest, Names: names}
	}
	for _, tc := range []struct {
		img  pod.StoredImage
		want string
	}{
		{named("sha256:used", "docker.io/library/x:1"), "used by pod a/b"},
		{named("sha256:1", "docker.io/library/nginx:latest"), "wanted by pod c/d"},
		{named("sha256:2", "docker.io/library/nginx:1.27"), ""},
		{named("sha256:"+strings.Repeat("a", 64), "any.example/y:1"), "wanted by pod e/f"},
		{named("sha256:3", "docker.io/library/coming:2"), "being pulled"},
		{named("sha256:good", "docker.io/library/x:0"), "the last good one of pod g/h"},
		{pod.StoredImage{Digest: "sha256:4", Pinned: "imported from an archive"}, "imported from an archive"},
		{named("sha256:5", "registry.example.com/base/debian:13"), "pinned by registry.example.com/base/*"},
		{named("sha256:6", "registry.example.com/base/debian/slim:13"), ""},
		{named("sha256:7", "docker.io/library/redis@sha256:7", "docker.io/library/redis:7"), "pinned by redis"},
		{named("sha256:8", "docker.io/bitnami/redis:7"), ""},
		{named("sha256:9", "quay.io/me/tool:1"), "pinned by quay.io/*/tool:1"},
		{named("sha256:10", "quay.io/me/tool:2"), ""},
	} {
		if got := s.Kept([]pod.StoredImage{tc.img}, u)[tc.img.Digest]; got != tc.want {
			t.Errorf("%v: kept because %q, want %q", tc.img.Names, got, tc.want)
		}
	}
}

func TestPressure(t *testing.T) {
	s := plan.DefaultImageSettings()
	of := func(use string, available, inodes int64) pod.Filesystem {
		return pod.Filesystem{Uses: []string{use}, Path: "/p", Size: 1000 << 20, Available: available << 20, Inodes: 1000, InodesFree: inodes}
	}
	readOnly := of("state", 900, 900)
	readOnly.ReadOnly = true
	btrfs := of("state", 900, 0)
	btrfs.Inodes = 0
	for name, tc := range map[string]struct {
		fs   pod.Filesystem
		was  bool
		want string
	}{
		"room":                     {of("logs", 100, 50), false, ""},
		"little room":              {of("logs", 99, 50), false, "the file system of logs (/p) has 99Mi of 1000Mi available, and 10% are wanted"},
		"it was short":             {of("logs", 109, 50), true, "and 10% are wanted"},
		"it was short, and is not": {of("logs", 110, 60), true, ""},
		"images":                   {of("images", 149, 50), false, "has 149Mi of 1000Mi available, and 15% are wanted"},
		"images have room":         {of("images", 150, 50), false, ""},
		"few files":                {of("run", 900, 49), false, "has room for 49 more files of 1000, and 5% are wanted"},
		"no bound of files":        {btrfs, false, ""},
		"read-only":                {readOnly, false, "the file system of state (/p) can't be written: it is mounted read-only"},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.Pressure(tc.fs, tc.was)
			if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
