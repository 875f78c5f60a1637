package state

import "github.com/podstead/podstead/pod"

// GoodImages keeps which images the containers of each pod ran well.
type GoodImages struct {
	file *File[map[string]map[string]pod.RunImages]
}

// NewGoodImages returns those at a path.
func NewGoodImages(path string) *GoodImages {
	return &GoodImages{file: NewFile[map[string]map[string]pod.RunImages](path)}
}

// Load returns what was saved last, or nothing and an error when the file was
// damaged and put aside.
func (g *GoodImages) Load() (map[string]map[string]pod.RunImages, error) {
	images, _, err := g.file.Load()
	return images, err
}

// Save replaces what is kept. It is called by one goroutine at a time.
func (g *GoodImages) Save(images map[string]map[string]pod.RunImages) error {
	return g.file.Save(images)
}
