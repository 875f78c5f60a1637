package printer

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/pod"
)

// changeCause is the annotation in which people write why they made a
// revision.
const changeCause = "kubernetes.io/change-cause"

// HistoryHeader returns the headings for HistoryRow.
func HistoryHeader() []string {
	return []string{"REVISION", "CHANGE-CAUSE", "STATUS", "AGE", "IMAGES"}
}

// HistoryRow shows one revision of a workload.
func HistoryRow(d *api.Workload, r *pod.RevisionView, now time.Time) []string {
	cause, images := "", none
	if r.Template != nil {
		cause = r.Template.Annotations[changeCause]
		images = revisionImages(r)
	}
	return []string{fmt.Sprint(r.Number), orNone(oneLine(cause)), revisionStatus(d, r), Age(r.Created, now), images}
}

// shortDigest is how many digits of a digest tell images apart for people.
const shortDigest = 12

// revisionImages are the images of a revision's containers, with the first
// digits of what they ran well: it comes back with these.
func revisionImages(r *pod.RevisionView) string {
	var images []string
	for i := range r.Template.Spec.Containers {
		c := &r.Template.Spec.Containers[i]
		image := c.Image
		if algorithm, digits, ok := strings.Cut(r.Ran[c.Name], ":"); ok && !strings.Contains(image, "@") {
			image += "@" + algorithm + ":" + digits[:min(shortDigest, len(digits))]
		}
		images = append(images, image)
	}
	return strings.Join(images, ",")
}

// ran lists the images that a revision's containers ran well.
func (p *page) ran(r *pod.RevisionView) {
	if len(r.Ran) == 0 {
		return
	}
	p.printf(0, "Images It Ran (a rollback runs the same):\n")
	for _, name := range slices.Sorted(maps.Keys(r.Ran)) {
		p.line(1, name, r.Ran[name])
	}
}

// revisionStatus says in a few words what became of a revision.
func revisionStatus(d *api.Workload, r *pod.RevisionView) string {
	var words []string
	if r.Number == d.Revision {
		words = append(words, "current")
	}
	if r.Number == d.Wanted && d.Wanted != d.Revision {
		words = append(words, "wanted")
	}
	switch {
	case r.Failure != nil:
		words = append(words, "failed ("+r.Failure.Reason+")")
	case r.Good:
		words = append(words, "good")
	}
	return orNone(strings.Join(words, ", "))
}

// revisions lists them, those that failed with what was seen.
func (p *page) revisions(d *api.Workload) {
	if len(d.Revisions) == 0 {
		return
	}
	p.printf(0, "Revisions:\n")
	p.printf(1, "Number\tStatus\tAge\tImages\n")
	for i := range d.Revisions {
		row := HistoryRow(d, &d.Revisions[i], p.now)
		p.printf(1, "%s\t%s\t%s\t%s\n", row[0], row[2], row[3], row[4])
	}
	for i := range d.Revisions {
		if r := &d.Revisions[i]; r.Failure != nil {
			p.printf(0, "Failure of Revision %d:\n", r.Number)
			p.failure(1, r.Failure)
		}
	}
}

// failure tells why a revision failed, and what was kept of its pods. It has
// no columns: lines of logs are as long as they are.
func (p *page) failure(level int, f *pod.RevisionFailure) {
	p.printf(level, "%s: %s (%s, %s ago)\n", f.Reason, Clean(f.Message), clock(f.At), Age(f.At, p.now))
	for i := range f.Pods {
		failed := &f.Pods[i]
		text := "Pod " + failed.Name
		if failed.Crashes > 0 {
			text += fmt.Sprintf(", crashes: %d", failed.Crashes)
		}
		p.printf(level, "%s\n", text)
		for _, t := range failed.Troubles {
			p.trouble(level+1, t)
		}
		if len(failed.Events) > 0 {
			p.printf(level+1, "Events:\n")
		}
		for _, e := range failed.Events {
			p.printf(level+2, "%s\n", oneLine(e))
		}
	}
}

func (p *page) trouble(level int, t pod.Trouble) {
	text := fmt.Sprintf("Container %s: %s", t.Container, t.Reason)
	if t.ExitCode != nil {
		text += fmt.Sprintf(", exit code %d", *t.ExitCode)
	}
	p.printf(level, "%s\n", Clean(text))
	if t.Probe != "" {
		p.printf(level+1, "Probe: %s\n", oneLine(t.Probe))
	}
	if len(t.LogTail) > 0 {
		p.printf(level+1, "Last Log Lines:\n")
	}
	for _, line := range t.LogTail {
		p.printf(level+2, "%s\n", untabbed(line))
	}
}

// untabbed keeps what a program wrote from being taken for columns.
func untabbed(line string) string {
	return strings.ReplaceAll(Clean(strings.TrimRight(line, "\n")), "\t", "    ")
}

// Failure tells why a revision failed, and what was kept of its pods.
func Failure(w io.Writer, r *pod.RevisionView, now time.Time) error {
	p := &page{w: w, now: now}
	p.printf(0, "Failure of Revision %d:\n", r.Number)
	p.failure(1, r.Failure)
	return p.err
}

// DescribeRevision shows the template of one revision, and its failure.
func DescribeRevision(w io.Writer, r *pod.RevisionView, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	p := &page{w: t, now: now}
	if r.Template != nil {
		p.template(r.Template)
	}
	p.ran(r)
	if r.Failure != nil {
		p.printf(0, "Failure of Revision %d:\n", r.Number)
		p.failure(1, r.Failure)
	}
	if p.err != nil {
		return p.err
	}
	return t.Flush()
}
