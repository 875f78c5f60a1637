package manifest

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/podstead/podstead/pod"
)

// supportedKinds is what is named to people who handed over another.
const supportedKinds = "Pod, List or PodList"

// document takes a document apart into objects.
func (p *parser) document(root *node) {
	switch kind := text(root.get("kind")); {
	case root.kind == kindMap && (kind == "List" || kind == "PodList"):
		p.list(root, kind)
	default:
		p.object(root, false)
	}
}

// list judges each entry of a List on its own. What is wrong with the list
// itself is a failure beside those of its entries.
func (p *parser) list(root *node, kind string) {
	found := listTroubles(root, kind)
	if len(found) > 0 {
		p.record(pod.Key{}, found)
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
		p.object(item, kind == "PodList")
	}
}

func listTroubles(root *node, kind string) []trouble {
	found := versionTroubles(root)
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
			message: "a list without pods says so by an empty one", want: "a list; [] for none"})
	case items.kind != kindList:
		d.mismatch("items", items, items.at, "a list", "")
	}
	return append(found, d.troubles...)
}

// object judges one object. Entries of a PodList need not say what they are.
func (p *parser) object(root *node, isPod bool) {
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
	kind := root.get("kind")
	if t := kindTrouble(root, kind, isPod); t != nil {
		p.finish(headKey(root, kind == nil), []trouble{*t})
		return
	}
	var found []trouble
	if !isPod || root.get("apiVersion") != nil {
		found = versionTroubles(root)
	}
	p.pod(root, found)
}

// kindTrouble reports objects that are no pods; nothing else is said of them.
func kindTrouble(root, kind *node, isPod bool) *trouble {
	t := trouble{at: root.at, reason: pod.ReasonUnsupportedKind, field: "kind", want: supportedKinds}
	switch name := text(kind); {
	case kind == nil && isPod, name == "Pod":
		return nil
	case kind == nil || kind.kind == kindNull:
		t.message = "the kind is missing"
		return &t
	case name == "List" || name == "PodList":
		t.message = "lists don't nest"
		t.want = "Pod"
	case strings.EqualFold(name, "pod"):
		t.message = "the kind is written Pod"
	default:
		t.message = "podstead does not run this kind"
	}
	t.at, t.got = kind.at, kind.describe()
	return &t
}

func versionTroubles(root *node) []trouble {
	version := root.get("apiVersion")
	t := trouble{at: root.at, reason: pod.ReasonUnsupportedVersion, field: "apiVersion", want: "v1"}
	switch {
	case version == nil || version.kind == kindNull:
		t.message = "the version is missing"
	case text(version) == "v1":
		return nil
	default:
		t.at, t.got, t.message = version.at, version.describe(), "pods have another version"
	}
	return []trouble{t}
}

// headKey reads the key of a pod that may have any other fault; zero when it
// can't be told, or when no pod can have it.
func headKey(root *node, isPod bool) pod.Key {
	metadata := root.get("metadata")
	key := pod.Key{Namespace: text(metadata.get("namespace")), Name: text(metadata.get("name"))}
	switch namespace := metadata.get("namespace"); {
	case namespace == nil, namespace.kind == kindNull, namespace.kind == kindString && namespace.text == "":
		key.Namespace = "default"
	}
	if !isPod || len(validation.IsDNS1123Label(key.Namespace)) > 0 || len(validation.IsDNS1123Subdomain(key.Name)) > 0 {
		return pod.Key{}
	}
	return key
}

// text returns the value of a string node, "" for any other.
func text(n *node) string {
	if n == nil || n.kind != kindString {
		return ""
	}
	return n.text
}
