package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// writeBill writes the bill: the package consists of programs, which have the
// hashes of their files, and these of modules.
func writeBill(file, version string, at time.Time, programs []program) error {
	root := cdx.Component{
		BOMRef: "pkg:generic/podstead@" + version, Type: cdx.ComponentTypeApplication,
		Name: "podstead", Version: version, PackageURL: "pkg:generic/podstead@" + version,
	}
	var components []cdx.Component
	var refs []string
	var dependencies []cdx.Dependency
	for _, p := range programs {
		c, err := p.component(version)
		if err != nil {
			return err
		}
		components = append(components, c)
		refs = append(refs, c.BOMRef)
		var uses []string
		for _, m := range p.linked() {
			uses = append(uses, m.purl())
		}
		dependencies = append(dependencies, cdx.Dependency{Ref: c.BOMRef, Dependencies: &uses})
	}
	for _, m := range modules(programs) {
		components = append(components, cdx.Component{
			BOMRef: m.purl(), Type: cdx.ComponentTypeLibrary, Name: m.path, Version: m.version, PackageURL: m.purl(),
		})
	}
	dependencies = append([]cdx.Dependency{{Ref: root.BOMRef, Dependencies: &refs}}, dependencies...)
	bill := cdx.NewBOM()
	bill.Metadata = &cdx.Metadata{Timestamp: at.Format(time.RFC3339), Component: &root}
	bill.Components, bill.Dependencies = &components, &dependencies
	return write(file, bill)
}

func write(file string, bill *cdx.BOM) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	// Tools of 2024 read this version.
	if err := cdx.NewBOMEncoder(f, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bill, cdx.SpecVersion1_5); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return f.Close()
}

// component is a program: its version is that of the module that it comes from.
func (p program) component(version string) (cdx.Component, error) {
	content, err := os.ReadFile(p.path)
	if err != nil {
		return cdx.Component{}, err
	}
	if p.info.Main.Path != own {
		version = p.info.Main.Version
	}
	sum := sha256.Sum256(content)
	return cdx.Component{
		BOMRef: p.installed, Type: cdx.ComponentTypeApplication, Name: p.installed, Version: version,
		Description: p.info.Path,
		Hashes:      &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
	}, nil
}

// purl names a module as vulnerability databases do.
func (m module) purl() string { return "pkg:golang/" + m.String() }
