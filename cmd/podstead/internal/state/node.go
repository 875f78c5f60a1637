package state

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"
)

// NodeID returns the id of this installation, kept in a file of the state
// folder. Containers are known by it, so a file that was lost is made with
// the same id where the machine has one: the id is derived from that and the
// folder. damage tells of a file that had to be put aside.
func NodeID(stateDir, machineIDFile string) (id string, damage, err error) {
	file := NewFile[string](filepath.Join(stateDir, "node-id"))
	id, ok, damage := file.Load()
	if ok && id != "" {
		return id, nil, nil
	}
	id = deriveID(stateDir, machineIDFile)
	if err := file.Save(id); err != nil {
		return "", damage, fmt.Errorf("keep the node's id: %w", err)
	}
	return id, damage, nil
}

func deriveID(stateDir, machineIDFile string) string {
	machine, err := os.ReadFile(machineIDFile)
	machine = bytes.TrimSpace(machine)
	if err != nil || len(machine) < 32 {
		return uuid.NewString()
	}
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "podstead:%s:%s", machine, stateDir)).String()
}
