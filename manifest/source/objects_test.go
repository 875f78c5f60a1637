package source

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/manifest/policy"
	"github.com/podstead/podstead/pod"
)

// three is a file with an object of each kind that the stand-in parser knows.
func three(version string) string {
	return docs(docOf(pod.KindDeployment, "web", version), docOf(pod.KindService, "web", version), docOf(pod.KindPod, "web", version))
}

func wanted(version string) map[string]string {
	return map[string]string{"web": version, "Deployment web": version, "Service web": version}
}

func TestObjectsOfOneNameAreApart(t *testing.T) {
	dir, d := directory(t)
	path := filepath.Join(dir, "web.yaml")
	put(t, path, three("1"))
	r, _ := start(t, d.Run)
	s, _ := r.untilPods(t, wanted("1"))
	if len(s.Pods) != 1 || len(s.Objects) != 2 || s.Objects[0].Kind != pod.KindDeployment || s.Objects[1].Kind != pod.KindService {
		t.Errorf("pods %v, objects %v; want one pod, then the Deployment and the Service", s.Pods, s.Objects)
	}
	put(t, path, docs(docOf(pod.KindService, "web", "2"), docOf(pod.KindPod, "web", "1")))
	r.untilPods(t, map[string]string{"web": "1", "Service web": "2"})
	// Another kind of the same name in another file is no conflict.
	put(t, filepath.Join(dir, "other.yaml"), docOf(pod.KindDeployment, "web", "3"))
	s, _ = r.untilPods(t, map[string]string{"web": "1", "Service web": "2", "Deployment web": "3"})
	if len(s.Problems) > 0 {
		t.Errorf("problems %v", s.Problems)
	}
}

func TestOneKindTwiceInAFileIsRefused(t *testing.T) {
	dir, d := directory(t)
	path := filepath.Join(dir, "web.yaml")
	put(t, path, three("1"))
	r, _ := start(t, d.Run)
	r.untilPods(t, wanted("1"))
	put(t, path, docs(docOf(pod.KindDeployment, "web", "2"), docOf(pod.KindDeployment, "web", "3"), docOf(pod.KindService, "web", "2")))
	s, _ := r.untilPods(t, map[string]string{"Deployment web": "1", "Service web": "2", "web": "1"})
	if len(s.Problems) != 2 {
		t.Fatalf("problems %v, want one for each definition", s.Problems)
	}
	for _, p := range s.Problems {
		if p.Object() != (pod.ObjectKey{Kind: pod.KindDeployment, Key: key("web")}) || p.Reason != pod.ReasonConflict ||
			!strings.Contains(p.Message, "Deployment default/web is defined 2 times") {
			t.Errorf("problem %v of %s", p, p.Object())
		}
	}
}

// TestBrokenObjectsAreKept: which objects a broken document may be about.
func TestBrokenObjectsAreKept(t *testing.T) {
	all := docs(three("1"), docOf(pod.KindDeployment, "api", "1"), docOf(pod.KindService, "api", "1"))
	for name, c := range map[string]struct {
		broken string
		// kept are those of all that stay although only broken is there.
		kept map[string]string
		// says is the consequence that people are told.
		says string
	}{
		"a service":         {docOf(pod.KindService, "web", "BAD"), map[string]string{"Service web": "1"}, "Service default/web stays as it was"},
		"a new service":     {docOf(pod.KindService, "new", "BAD"), map[string]string{}, "it is not used"},
		"a workload":        {docOf(pod.KindDeployment, "api", "BAD"), map[string]string{"Deployment api": "1"}, "Deployment default/api stays as it was"},
		"another workload":  {docOf(pod.KindPod, "api", "BAD"), map[string]string{"Deployment api": "1"}, "Deployment default/api stays as it was"},
		"a new workload":    {docOf(pod.KindDeployment, "new", "BAD"), map[string]string{}, "nothing runs for it"},
		"one of two":        {docOf(pod.KindDeployment, "web", "BAD"), map[string]string{"Deployment web": "1", "web": "1"}, "pod default/web, Deployment default/web stay as they were"},
		"another kind":      {docOf("ConfigMap", "api", "1"), map[string]string{"Deployment api": "1", "Service api": "1"}, "Deployment default/api, Service default/api stay as they were"},
		"unknown by itself": {"{{{", map[string]string{"Deployment web": "1", "Deployment api": "1", "Service web": "1", "Service api": "1", "web": "1"}, "stay as they were"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, d := directory(t)
			path := filepath.Join(dir, "web.yaml")
			put(t, path, all)
			r, _ := start(t, d.Run)
			r.until(t, "all objects", func(s pod.SourceState) bool { return len(images(s)) == 5 })
			put(t, path, c.broken)
			s, _ := r.until(t, "problem", func(s pod.SourceState) bool { return len(s.Problems) > 0 })
			wantImages(t, s, c.kept)
			if got := s.Problems[0].Consequence; !strings.Contains(got, c.says) {
				t.Errorf("it says %q, want %q", got, c.says)
			}
			if len(s.Unreadable) > 0 {
				t.Errorf("unreadable %v: the file was known whole", s.Unreadable)
			}
		})
	}
}

func TestObjectsAreKeptOnDisk(t *testing.T) {
	store := NewStore(t.TempDir())
	dir, d := directory(t, func(c *DirectoryConfig) { c.Store = store })
	path := filepath.Join(dir, "web.yaml")
	put(t, path, three("1"))
	r, stop := start(t, d.Run)
	r.untilPods(t, wanted("1"))
	stop()
	write(t, path, "{{{")
	r, stop = again(t, dir, store)
	s, _ := r.until(t, "first state", func(s pod.SourceState) bool { return s.Synced })
	wantImages(t, s, wanted("1"))
	if len(s.Unreadable) > 0 {
		t.Errorf("unreadable %v", s.Unreadable)
	}
	stop()
	// What a podstead wrote that knew pods alone is read, and stays as it is
	// until something changes.
	only := docOf(pod.KindPod, "web", "1")
	write(t, path, only)
	r, stop = again(t, dir, store)
	r.untilPods(t, map[string]string{"web": "1"})
	stop()
	data, err := os.ReadFile(filepath.Join(store.dir, "local.json"))
	if err != nil || strings.Contains(string(data), `"objects"`) {
		t.Errorf("a copy of pods alone mentions objects: %s, %v", data, err)
	}
}

func TestAnObjectWithoutContentSpoilsTheCopy(t *testing.T) {
	dir, file, store := stored(t)
	payload := `{"objects":[{"file":"x","Kind":"Service","Namespace":"d","Name":"a"}]}`
	write(t, file, `{"version":1,"sha256":"`+checksum([]byte(payload))+`","source":`+payload+`}`)
	r, _ := again(t, dir, store)
	s, _ := r.untilPods(t, map[string]string{"a": "1"})
	if !hasProblem(s, pod.ReasonUnreadable, "rebuilt from the source") {
		t.Errorf("problems %v, want one of the store", s.Problems)
	}
}

func TestLossOfAllWorkloadsIsHeldWhateverStays(t *testing.T) {
	server := serve(t, say(docs(docOf(pod.KindDeployment, "web", "1"), docOf(pod.KindService, "a", "1"), docOf(pod.KindService, "b", "1"), docOf(pod.KindService, "c", "1"))), false)
	r, _ := runURL(t, poll(server.URL, func(c *URLConfig) { c.Guard.Confirm = 150 * time.Millisecond }))
	r.until(t, "four objects", func(s pod.SourceState) bool { return len(s.Objects) == 4 })
	server.set(say(docs(docOf(pod.KindService, "a", "1"), docOf(pod.KindService, "b", "1"), docOf(pod.KindService, "c", "1"))))
	s, _ := r.until(t, "a held Deployment", func(s pod.SourceState) bool { return len(s.Held) > 0 })
	held := []pod.ObjectKey{{Kind: pod.KindDeployment, Key: key("web")}}
	if !slices.Equal(s.Held, held) || len(s.Objects) != 4 || !hasProblem(s, pod.ReasonLimit, "the omitted objects stay as they are until then") {
		t.Errorf("held %v, objects %v, problems %v", s.Held, images(s), s.Problems)
	}
	r.until(t, "it is gone", func(s pod.SourceState) bool { return len(s.Objects) == 3 && len(s.Held) == 0 })
}

func TestScalingBeyondALimitIsRefused(t *testing.T) {
	scaled := func(replicas string) string {
		return strings.Replace(docOf(pod.KindDeployment, "web", "1"), "spec:\n  template", "spec:\n  replicas: "+replicas+"\n  template", 1)
	}
	dir, d := directory(t, func(c *DirectoryConfig) { c.Limits = level(policy.Level{MaxPods: 4}) })
	put(t, filepath.Join(dir, "web.yaml"), scaled("3"))
	put(t, filepath.Join(dir, "a.yaml"), doc("a", "1"))
	r, _ := start(t, d.Run)
	r.until(t, "both", func(s pod.SourceState) bool { return len(s.Objects) == 1 && len(s.Pods) == 1 && len(s.Problems) == 0 })
	put(t, filepath.Join(dir, "web.yaml"), scaled("4"))
	s, _ := r.until(t, "refusal", func(s pod.SourceState) bool {
		return hasProblem(s, pod.ReasonPolicy, "Deployment default/web stays as it was")
	})
	if got := s.Objects[0].Replicas(); got != 3 || len(s.Pods) != 1 || s.Problems[0].Kind != pod.KindDeployment {
		t.Errorf("%d replicas, %d pods, problem %v", got, len(s.Pods), s.Problems[0])
	}
	put(t, filepath.Join(dir, "web.yaml"), scaled("1"))
	r.until(t, "fewer", func(s pod.SourceState) bool { return s.Objects[0].Replicas() == 1 && len(s.Problems) == 0 })
}

func TestFailedSourceNamesWhatStays(t *testing.T) {
	server := serve(t, say(docs(docOf(pod.KindService, "web", "1"))), false)
	r, _ := runURL(t, poll(server.URL))
	r.untilPods(t, map[string]string{"Service web": "1"})
	server.set(status(500))
	s, _ := r.until(t, "error", func(s pod.SourceState) bool { return s.Error != "" })
	if !strings.HasSuffix(s.Error, "its Service default/web stays as it is") || !maps.Equal(images(s), map[string]string{"Service web": "1"}) {
		t.Errorf("error %q, objects %v", s.Error, images(s))
	}
}

func TestAChangeOfAnObjectAloneIsPublished(t *testing.T) {
	dir, d := directory(t)
	path := filepath.Join(dir, "web.yaml")
	for _, kind := range []pod.Kind{pod.KindDeployment, pod.KindService} {
		name := string(kind) + " web"
		put(t, path, docOf(kind, "web", "1"))
		r, stop := start(t, d.Run)
		r.untilPods(t, map[string]string{name: "1"})
		put(t, path, docOf(kind, "web", "2"))
		r.untilPods(t, map[string]string{name: "2"})
		stop()
	}
}
