package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/podstead/podstead/pod"
)

// ObjectList are objects of one kind.
type ObjectList struct {
	metav1.ListMeta
	Items []Object
}

// Objects lists the objects of a kind, pods among them.
func (c *Client) Objects(ctx context.Context, k pod.Kind, o ListOptions) (*ObjectList, error) {
	raw, err := get[struct {
		metav1.ListMeta `json:"metadata"`
		Items           []json.RawMessage `json:"items"`
	}](ctx, c, namespaced(prefix(k), o.Namespace, Resource(k).Resource), o.query())
	if err != nil {
		return nil, err
	}
	list := &ObjectList{ListMeta: raw.ListMeta}
	for _, text := range raw.Items {
		object, err := readObject(k, text)
		if err != nil {
			return nil, err
		}
		list.Items = append(list.Items, object)
	}
	return list, nil
}

// Object returns one object of a kind; of a pod its newest instance.
func (c *Client) Object(ctx context.Context, k pod.ObjectKey) (Object, error) {
	raw, err := get[json.RawMessage](ctx, c, objectPath(prefix(k.Kind), k), nil)
	if err != nil {
		return nil, err
	}
	return readObject(k.Kind, *raw)
}

// WatchObjects is like WatchPods for the objects of any kind.
func (c *Client) WatchObjects(ctx context.Context, k pod.Kind, o ListOptions, seen func(watch.EventType, Object) error) error {
	path := namespaced(prefix(k), o.Namespace, Resource(k).Resource)
	return watchObjects(ctx, c, path, o, func(e watch.EventType, raw *json.RawMessage) error {
		object, err := readObject(k, *raw)
		if err != nil {
			return err
		}
		return seen(e, object)
	})
}

func readObject(k pod.Kind, text []byte) (Object, error) {
	object := newObject(k)
	if err := json.Unmarshal(text, object); err != nil {
		return nil, fmt.Errorf("read a %s from podstead: %w", k, err)
	}
	// Items of lists need not say what they are.
	what := typeOf(k)
	object.GetObjectKind().SetGroupVersionKind(what.GroupVersionKind())
	return object, nil
}

// objectPath is the path of one object below a prefix.
func objectPath(prefix string, k pod.ObjectKey) string {
	return namespaced(prefix, k.Namespace, Resource(k.Kind).Resource) + "/" + url.PathEscape(k.Name)
}

// Workloads lists the workloads of a kind with everything that is known.
func (c *Client) Workloads(ctx context.Context, k pod.Kind, o ListOptions) (*WorkloadList, error) {
	return get[WorkloadList](ctx, c, namespaced("/podstead/v1", o.Namespace, Resource(k).Resource), o.query())
}

// Workload returns everything that is known of one workload.
func (c *Client) Workload(ctx context.Context, k pod.ObjectKey) (*Workload, error) {
	return get[Workload](ctx, c, objectPath("/podstead/v1", k), nil)
}

// WatchWorkload calls seen for each change of a workload, beginning with how
// it is, if it is there, until ctx ends, the server ends or seen returns an
// error.
func (c *Client) WatchWorkload(ctx context.Context, k pod.ObjectKey, seen func(watch.EventType, *Workload) error) error {
	return watchObjects(ctx, c, objectPath("/podstead/v1", k), ListOptions{}, seen)
}

// Services lists Services with everything that is known.
func (c *Client) Services(ctx context.Context, o ListOptions) (*ServiceList, error) {
	return get[ServiceList](ctx, c, namespaced("/podstead/v1", o.Namespace, "services"), o.query())
}

// Rollout carries out a command on a workload and says in words what was done.
func (c *Client) Rollout(ctx context.Context, k pod.ObjectKey, command pod.RolloutCommand) (string, error) {
	status, err := send[metav1.Status](ctx, c, objectPath("/podstead/v1", k)+"/rollout", command)
	if err != nil {
		return "", err
	}
	return status.Message, nil
}

// Diff says what would change if the objects replaced those that are wanted.
func (c *Client) Diff(ctx context.Context, objects []pod.Object) ([]pod.Change, error) {
	list, err := send[ChangeList](ctx, c, "/podstead/v1/diff", Objects{Items: objects})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// send posts a value as JSON.
func send[T any](ctx context.Context, c *Client, path string, value any) (*T, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("write what is sent to %s: %w", path, err)
	}
	return askWith[T](ctx, c, http.MethodPost, path, nil, bytes.NewReader(text))
}
