package logfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rotatedFormat names rotated files. Its fixed width makes the order of names
// the order of time; the fraction keeps apart what was rotated in one second.
const rotatedFormat = "20060102-150405.000000000"

const suffix = ".log"

// Path is the current log file of a run of a container whose log folder is
// dir; attempt counts the runs from 0.
func Path(dir string, attempt int) string {
	return filepath.Join(dir, strconv.Itoa(attempt)+suffix)
}

// attemptOf splits the name of a log file. rotated is the time in a rotated
// file's name and empty for a current one.
func attemptOf(name string) (attempt int, rotated string, ok bool) {
	number, rest, ok := strings.Cut(name, suffix)
	if !ok {
		return 0, "", false
	}
	attempt, err := strconv.Atoi(number)
	if err != nil || attempt < 0 || strconv.Itoa(attempt) != number {
		return 0, "", false
	}
	if rest == "" {
		return attempt, "", true
	}
	if _, err := time.Parse(rotatedFormat, strings.TrimPrefix(rest, ".")); err != nil || rest[0] != '.' {
		return 0, "", false
	}
	return attempt, rest[1:], true
}

// Attempts returns the numbers of the runs that have a log in dir, ascending.
// A folder that does not exist has none.
func Attempts(dir string) ([]int, error) {
	entries, err := readDir(dir)
	if err != nil {
		return nil, err
	}
	var found []int
	for _, e := range entries {
		if n, _, ok := attemptOf(e.Name()); ok {
			found = append(found, n)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// List returns the paths of one run's log files, oldest first: the rotated
// ones, then the current one if it is there.
func List(dir string, attempt int) ([]string, error) {
	rotated, current, err := list(dir, attempt)
	if err != nil {
		return nil, err
	}
	paths := make([]string, 0, len(rotated)+1)
	for _, name := range rotated {
		paths = append(paths, filepath.Join(dir, name))
	}
	if current {
		paths = append(paths, Path(dir, attempt))
	}
	return paths, nil
}

// list returns the names of the rotated files, oldest first, and whether
// there is a current one.
func list(dir string, attempt int) (rotated []string, current bool, err error) {
	entries, err := readDir(dir)
	if err != nil {
		return nil, false, err
	}
	for _, e := range entries {
		n, at, ok := attemptOf(e.Name())
		switch {
		case !ok || n != attempt:
		case at == "":
			current = true
		default:
			rotated = append(rotated, e.Name())
		}
	}
	slices.Sort(rotated)
	return rotated, current, nil
}

func readDir(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

// rotatedName is the name that a current file gets at its rotation. It sorts
// after last, the newest rotated name so far, even when the clock went back.
func rotatedName(attempt int, now time.Time, last string) string {
	if _, at, ok := attemptOf(last); ok {
		// attemptOf has parsed it before.
		if t, _ := time.Parse(rotatedFormat, at); !now.After(t) {
			now = t.Add(time.Nanosecond)
		}
	}
	return strconv.Itoa(attempt) + suffix + "." + now.UTC().Format(rotatedFormat)
}

// Attempt returns the number in the name of a current log file.
func Attempt(name string) (attempt int, ok bool) {
	attempt, rotated, ok := attemptOf(name)
	return attempt, ok && rotated == ""
}
