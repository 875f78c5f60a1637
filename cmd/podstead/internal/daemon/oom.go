package daemon

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// oomScore is what Kubernetes gives to the kubelet: podstead goes when nothing
// else is left to be killed.
const oomScore = -999

const ownScoreFile = "/proc/self/oom_score_adj"

// ownOOMScore reads podstead's oom_score_adj.
func ownOOMScore() (int, error) {
	text, err := os.ReadFile(ownScoreFile)
	if err != nil {
		return 0, fmt.Errorf("read our oom_score_adj: %w", err)
	}
	score, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("read our oom_score_adj: %w", err)
	}
	return score, nil
}

// protectSelf makes the kernel spare podstead when memory runs out, as far as
// it lets us: a service manager may have done so before.
func protectSelf() error {
	score, err := ownOOMScore()
	if err != nil || score <= oomScore {
		return err
	}
	// What is refused, status tells (see unspared).
	_ = os.WriteFile(ownScoreFile, []byte(strconv.Itoa(oomScore)), 0)
	return nil
}

// unspared tells in one line who is not spared when the server's memory runs
// out, "" if everybody is who should be.
func (d *daemon) unspared() string {
	if d.oomFloor != nil {
		return fmt.Sprintf("the kernel lets nothing have an oom_score_adj below %d (CAP_SYS_RESOURCE is missing): "+
			"when the server's memory runs out, podstead, containerd and Guaranteed pods are not spared", *d.oomFloor)
	}
	if d.containerd != nil {
		return d.containerd.Status().Unprotected
	}
	return ""
}
