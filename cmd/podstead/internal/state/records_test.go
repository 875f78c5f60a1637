package state

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

func record(name string) *workload.Record {
	r := &workload.Record{BootID: "boot", Generation: 3, Target: "abc"}
	r.Manifest.ObjectKey = pod.ObjectKey{Kind: pod.KindDeployment, Key: pod.Key{Namespace: "default", Name: name}}
	r.Manifest.Deployment = &appsv1.Deployment{}
	r.Manifest.Deployment.Name = name
	r.Revisions = []workload.Revision{{Number: 1, Hash: "abc", Good: true, Template: &corev1.PodTemplateSpec{}}}
	return r
}

func save(t *testing.T, dir string, records ...*workload.Record) {
	t.Helper()
	for _, r := range records {
		if err := NewRecords(dir).Save(r.Manifest.ObjectKey, r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecordsComeBackAndGo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "workloads")
	if none, err := NewRecords(dir).Load(); len(none) > 0 || err != nil {
		t.Errorf("before the first: %v, %v", none, err)
	}
	long := record(strings.Repeat("x", 253))
	other := record(strings.Repeat("x", 252) + "y")
	save(t, dir, record("web"), long, other)
	got, err := NewRecords(dir).Load()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]*workload.Record{}
	for _, r := range []*workload.Record{record("web"), long, other} {
		want[r.Manifest.Name] = r
	}
	back := map[string]*workload.Record{}
	for _, r := range got {
		back[r.Manifest.Name] = r
	}
	if diff := cmp.Diff(want, back); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	for range 2 {
		if err := NewRecords(dir).Save(long.Manifest.ObjectKey, nil); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := NewRecords(dir).Load(); len(left) != 2 || err != nil {
		t.Errorf("after one was deleted: %d, %v", len(left), err)
	}
}

func TestDamagedRecordCostsNoOther(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, record("web"), record("db"))
	path := filepath.Join(dir, "Deployment_default_db.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), `"generation":3`, `"generation":4`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := NewRecords(dir).Load()
	if len(got) != 1 || got[0].Manifest.Name != "web" || err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, %v, want the other one and an error that names the file", got, err)
	}
	if got, err := NewRecords(dir).Load(); len(got) != 1 || err != nil {
		t.Errorf("what was put aside is read again: %v, %v", got, err)
	}
}
