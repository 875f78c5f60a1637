package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// registry serves the images in a folder, whose files are named like the paths
// of a registry, and their layers with so many bytes in a second.
func registry(address, folder, bytesPerSecond string) error {
	rate, err := strconv.Atoi(bytesPerSecond)
	if err != nil {
		return err
	}
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		text, err := os.ReadFile(filepath.Join(folder, filepath.Clean(r.URL.Path)))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		kind := "application/octet-stream"
		if strings.Contains(r.URL.Path, "/manifests/") {
			var manifest struct{ MediaType string }
			if err := json.Unmarshal(text, &manifest); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			kind = manifest.MediaType
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Docker-Content-Digest", fmt.Sprintf("sha256:%x", sha256.Sum256(text)))
		http.ServeContent(slow{w, rate}, r, "", time.Time{}, bytes.NewReader(text))
	}))
}

// slow writes a body at a rate.
type slow struct {
	http.ResponseWriter
	rate int // bytes per second
}

func (s slow) Write(p []byte) (written int, err error) {
	const turns = 20 // in a second
	for len(p) > 0 && err == nil {
		var n int
		n, err = s.ResponseWriter.Write(p[:min(len(p), 1+s.rate/turns)])
		written, p = written+n, p[n:]
		if f, ok := s.ResponseWriter.(http.Flusher); ok {
			f.Flush()
		}
		time.Sleep(time.Second / turns)
	}
	return written, err
}
