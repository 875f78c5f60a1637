package manifest

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/podstead/podstead/pod"
)

// document takes a document apart into objects.
func (p *parser) document(root *node) {
	kind := text(root.get("kind"))
	item, typed := findList(kind)
	switch {
	case root.kind == kindMap && typed:
		p.list(root, kind, &item)
	case root.kind == kindMap && kind == "List":
		p.list(root, kind, nil)
	default:
		p.object(root, nil)
	}
}

// list judges each entry of a List on its own. What is wrong with the list
// itself is a failure beside those of its entries. Entries of a list of one
// kind need not say what they are.
func (p *parser) list(root *node, kind string, entries *kindRow) {
	version := "v1"
	if entries != nil {
		version = entries.kind.APIVersion()
	}
	found := listTroubles(root, kind, version)
	if len(found) > 0 {
		p.record(pod.ObjectKey{}, found)
	}
	items := root.get("items")
	if items == nil {
		return
	}
	p.emptyList = p.emptyList || items.kind == kindList && len(items.items) == 0
	for _, item := range items.items {
		if p.full(item.at) {
			return
		}
		p.object(item, entries)
	}
}

func listTroubles(root *node, kind, version string) []trouble {
	found := versionTroubles(root, kind, version)
	seen := map[string]place{}
	d := decoder{}
	for _, f := range root.fields {
		switch {
		case d.duplicate(seen, "", f), d.brokenKey("", f):
		case !slices.Contains([]string{"kind", "apiVersion", "metadata", "items"}, f.key.text):
			d.add(trouble{
				at: f.key.at, reason: pod.ReasonUnknownField, field: f.key.text,
				message: "there is no such field in a " + kind, want: "apiVersion, kind, metadata and items",
			})
		}
	}
	switch items := root.get("items"); {
	case items == nil || items.kind == kindNull:
		d.add(trouble{at: root.at, reason: pod.ReasonRequired, field: "items",
			message: "a list without objects says so by an empty one", want: "a list; [] for none"})
	case items.kind != kindList:
		d.mismatch("items", items, items.at, "a list", "")
	}
	return append(found, d.troubles...)
}

// object judges one object, which is of the given kind where it does not say
// itself.
func (p *parser) object(root *node, implied *kindRow) {
	switch root.kind {
	case kindBroken:
		p.fail(trouble{at: root.at, reason: pod.ReasonTooComplex, message: root.text})
		return
	case kindMap:
	default:
		p.fail(trouble{
			at: root.at, reason: pod.ReasonType, message: "it is no object", got: root.describe(),
			want: "a mapping with apiVersion, kind, metadata and spec",
		})
		return
	}
	row, t := kindOf(root, implied)
	if t != nil {
		p.finish(headKey(root, ""), []trouble{*t})
		return
	}
	var found []trouble
	if implied == nil || root.get("apiVersion") != nil {
		found = versionTroubles(root, string(row.kind), row.kind.APIVersion())
	}
	p.read(root, row, found)
}

// kindOf returns the kind of an object. Of those that are none of ours it
// reports just that; nothing else is said of them.
func kindOf(root *node, implied *kindRow) (kindRow, *trouble) {
	kind := root.get("kind")
	name := text(kind)
	if kind == nil && implied != nil {
		return *implied, nil
	}
	row, found := findKind(name)
	if found && (implied == nil || implied.kind == row.kind) {
		return row, nil
	}
	t := trouble{at: root.at, reason: pod.ReasonUnsupportedKind, field: "kind", want: supportedKinds()}
	if kind == nil || kind.kind == kindNull {
		t.message = "the kind is missing"
		return kindRow{}, &t
	}
	_, list := findList(name)
	written := withOtherCapitals(name)
	switch {
	case list || name == "List":
		t.message, t.want = "lists don't nest", kindNames()
	case found:
		t.message, t.want = "the list is one of another kind", string(implied.kind)
	case written != "":
		t.message = "the kind is written " + written
	default:
		t.message = otherKinds(name)
	}
	t.at, t.got = kind.at, kind.describe()
	return kindRow{}, &t
}

// withOtherCapitals returns the kind that somebody wrote with other capitals.
func withOtherCapitals(name string) string {
	for _, r := range kindRows() {
		if strings.EqualFold(name, string(r.kind)) {
			return string(r.kind)
		}
	}
	return ""
}

func versionTroubles(root *node, kind, want string) []trouble {
	version := root.get("apiVersion")
	t := trouble{at: root.at, reason: pod.ReasonUnsupportedVersion, field: "apiVersion", want: want}
	switch {
	case version == nil || version.kind == kindNull:
		t.message = "the version is missing"
	case text(version) == want:
		return nil
	default:
		t.at, t.got, t.message = version.at, version.describe(), kind+" has another version"
	}
	return []trouble{t}
}

// headKey reads the key of an object that may have any other fault; zero when
// its name can't be told, or when no object can have it.
func headKey(root *node, kind pod.Kind) pod.ObjectKey {
	metadata := root.get("metadata")
	key := pod.Key{Namespace: text(metadata.get("namespace")), Name: text(metadata.get("name"))}
	switch namespace := metadata.get("namespace"); {
	case namespace == nil, namespace.kind == kindNull, namespace.kind == kindString && namespace.text == "":
		key.Namespace = "default"
	}
	if len(validation.IsDNS1123Label(key.Namespace)) > 0 || len(validation.IsDNS1123Subdomain(key.Name)) > 0 {
		return pod.ObjectKey{}
	}
	return pod.ObjectKey{Kind: kind, Key: key}
}

// text returns the value of a string node, "" for any other.
func text(n *node) string {
	if n == nil || n.kind != kindString {
		return ""
	}
	return n.text
}
