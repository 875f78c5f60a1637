package agent_test

import (
	"encoding/json"
	"time"

	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// fakeRecords keeps records as a disk would: as text.
type fakeRecords struct{ *fake }

func (f fakeRecords) Load() ([]*workload.Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var records []*workload.Record
	for _, text := range f.records {
		r := &workload.Record{}
		if err := json.Unmarshal([]byte(text), r); err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, f.lost
}

func (f fakeRecords) Save(key pod.ObjectKey, r *workload.Record) error {
	time.Sleep(10 * time.Millisecond)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unstored != nil {
		return f.unstored
	}
	if f.records == nil {
		f.records = map[pod.ObjectKey]string{}
	}
	if r == nil {
		delete(f.records, key)
		return nil
	}
	text, err := json.Marshal(r)
	f.records[key] = string(text)
	return err
}
