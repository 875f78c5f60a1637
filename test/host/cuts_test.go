package host

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// testPowerCuts cuts the power at random moments after something was begun
// that writes to the disk.
func (n *node) testPowerCuts() {
	ops := []struct {
		name string
		do   func(int) (after func())
	}{
		{"edit web", n.opEdit}, {"add a pod", n.opAdd}, {"remove a pod", n.opRemove}, {"import an image", n.opImport}, {"pull an image", n.opPull},
	}
	for i := range *cuts {
		if i%len(ops) == 0 {
			n.random.Shuffle(len(ops), func(a, b int) { ops[a], ops[b] = ops[b], ops[a] })
		}
		op := ops[i%len(ops)]
		after := op.do(i)
		pause := time.Duration(n.random.Int64N(int64(8 * time.Second)))
		time.Sleep(pause)
		n.t.Logf("cut %d: %s after: %s", i, pause.Round(time.Millisecond), op.name)
		n.cutPower(nothing, nothing)
		n.logBack(n.clean)
		after()
	}
}

func (n *node) opEdit(i int) func() {
	n.apply("web", fmt.Sprintf("cut-%d", i))
	return nothing
}

func (n *node) opAdd(i int) func() {
	n.applySpec(fmt.Sprintf("more-%d", i), spec{generation: "1"})
	return nothing
}

func (n *node) opRemove(i int) func() {
	name := fmt.Sprintf("short-%d", i)
	n.applySpec(name, spec{generation: "1"})
	n.WaitReady(name)
	n.drop(name)
	return nothing
}

// opImport begins with an archive that is being imported. A pod never runs an
// image of which a part is missing.
func (n *node) opImport(i int) func() {
	name := fmt.Sprintf("big-%d", i)
	n.Shell(fmt.Sprintf("cp /mnt/big-%[1]d.tar %[2]s/.part; sync %[2]s/.part; mv %[2]s/.part %[2]s/big-%[1]d.tar; sync %[2]s", i%bigImages, imagesDir))
	n.applySpec(name, spec{generation: "1", image: bigImage(i)})
	return func() { n.dropWhole(name, [32]byte{byte(i % bigImages)}, bigSize) }
}

// opPull begins with an image that is being pulled from a slow registry.
func (n *node) opPull(i int) func() {
	name, number := fmt.Sprintf("pulled-%d", i), n.pulled%pulledImages
	n.pulled++
	n.applySpec(name, spec{generation: "1", image: fmt.Sprintf("%s/pulled:%d", registryAddress, number)})
	return func() { n.dropWhole(name, [32]byte{byte(number), 'p'}, pulledSize) }
}

// dropWhole removes a pod after it looked whether it has all of its image.
func (n *node) dropWhole(name string, seed [32]byte, size int) {
	n.t.Helper()
	content := make([]byte, size)
	_, _ = rand.NewChaCha8(seed).Read(content)
	pid := n.processes(containerCgroup(n.WaitReady(name), "app"))[0]
	got, _, _ := strings.Cut(n.Run("sha256sum", "/proc/"+pid+"/root/big"), " ")
	if want := fmt.Sprintf("%x", sha256.Sum256(content)); got != want {
		n.t.Errorf("the file of the image has the sum %s in the container of %s, want %s", got, name, want)
	}
	n.drop(name)
}
