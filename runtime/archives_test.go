package runtime

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// folder is a watched folder and what it reports.
type folder struct {
	*host
	results chan ArchiveResult
	stop    func()
}

func (h *host) watchFolder(dir string) *folder {
	f := &folder{host: h, results: make(chan ArchiveResult, 100)}
	a := NewArchiveFolder(ArchiveFolderConfig{
		Dir: dir, Runtime: h.Runtime, Settle: 50 * time.Millisecond, Rescan: time.Hour,
		Report: func(r ArchiveResult) { f.results <- r },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	f.stop = func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	}
	return f
}

func (f *folder) next() ArchiveResult {
	f.t.Helper()
	select {
	case r := <-f.results:
		return r
	case <-time.After(deadline):
		f.t.Fatal("nothing was imported")
		return ArchiveResult{}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestArchivesAreImportedOnce(t *testing.T) {
	h := newHost(t)
	dir := h.path("images")
	f := h.watchFolder(dir)
	h.await("the folder is made", func() bool { _, err := os.Stat(dir); return err == nil })
	copyFile(t, built.archive, filepath.Join(dir, ".hidden.tar"))
	copyFile(t, built.archive, filepath.Join(dir, "a.tar"))
	r := f.next()
	if r.Err != nil || len(r.Images) != 1 || r.Images[0].Ref != "example.com/guest:1" || filepath.Base(r.Path) != "a.tar" {
		t.Fatalf("imported: %+v", r)
	}
	h.start(h.request(r.Images[0], "web", "wait"))
	f.stop()

	// The next watcher knows a.tar by its stat and b.tar by its content, and
	// tells of neither; bad.tar comes after them.
	copyFile(t, built.archive, filepath.Join(dir, "b.tar"))
	if err := os.WriteFile(filepath.Join(dir, "bad.tar"), []byte("no archive"), 0o644); err != nil {
		t.Fatal(err)
	}
	f = h.watchFolder(dir)
	if r := f.next(); r.Err == nil || !strings.Contains(r.Err.Error(), "bad.tar") {
		t.Errorf("after the restart: %+v", r)
	}
	mended := h.path("mended.tar")
	if err := writeArchive(mended, "example.com/mended:1", built.image); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(mended, filepath.Join(dir, "bad.tar")); err != nil {
		t.Fatal(err)
	}
	if r := f.next(); r.Err != nil || r.Images[0].Ref != "example.com/mended:1" {
		t.Errorf("the mended file: %+v", r)
	}
	f.stop()
	for _, ref := range []string{"example.com/guest:1", "example.com/mended:1"} {
		h.checkPinned(ref)
	}
}

// checkPinned looks for the label that keeps an image from being collected.
func (h *host) checkPinned(ref string) {
	h.t.Helper()
	img, err := h.client.ImageService().Get(h.scope(h.t.Context()), ref)
	if err != nil || img.Labels[labelImported] == "" {
		h.t.Errorf("%s: %v, labels %v", ref, err, img.Labels)
	}
}

func TestImportedImageIsFound(t *testing.T) {
	h, img := newHostWithImage(t)
	found, ok, err := h.Lookup(t.Context(), "example.com/guest:1")
	if err != nil || !ok || found != img {
		t.Errorf("lookup: %+v, %v, %v; imported %+v", found, ok, err, img)
	}
	// An image that is not unpacked can't be run.
	ctx := h.scope(t.Context())
	info, err := h.info(ctx, img)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.client.SnapshotService(h.cfg.Snapshotter).Remove(ctx, info.chainID); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := h.Lookup(t.Context(), img.Ref); ok || err != nil {
		t.Errorf("without its snapshot: %v, %v", ok, err)
	}
}

func TestNamesInArchives(t *testing.T) {
	for in, want := range map[string]string{
		"1.2":           "docker.io/library/shop:1.2",
		"shop:1":        "docker.io/library/shop:1",
		"example.com/a": "example.com/a:latest",
	} {
		if got := archiveName("/images/Shop.tar.gz", in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestUnnamedImageIsNotImported(t *testing.T) {
	h := newHost(t)
	path := h.path("empty.tar")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if list, err := h.Import(t.Context(), path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("an empty file: %v, %v", list, err)
	}
}
