package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/podstead/podstead/pod"
)

// Client asks a podstead over its socket. It is safe for concurrent use.
// What the server refuses comes back as an error of
// k8s.io/apimachinery/pkg/api/errors; a server that can't be reached as an
// *UnreachableError.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient returns a client that connects when it is first used.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// UnreachableError tells that nobody answers at the socket, and what to do.
type UnreachableError struct {
	Socket string
	Err    error
}

func (e *UnreachableError) Error() string {
	switch {
	case errors.Is(e.Err, fs.ErrNotExist):
		return fmt.Sprintf("podstead is not running: there is no socket %s (start it, or name its socket with --socket or PODSTEAD_SOCKET)", e.Socket)
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		return fmt.Sprintf("podstead is not running: nobody answers at %s (see its log for why it ended)", e.Socket)
	case errors.Is(e.Err, fs.ErrPermission):
		return fmt.Sprintf("this user may not use podstead's socket %s: run as root, or let an administrator set socketGroup", e.Socket)
	default:
		return fmt.Sprintf("podstead can't be reached at %s: %v", e.Socket, e.Err)
	}
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// ListOptions restrict what is listed or watched.
type ListOptions struct {
	// Namespace is empty for all.
	Namespace string
	// LabelSelector and FieldSelector are written as for kubectl's -l and
	// --field-selector.
	LabelSelector, FieldSelector string
	// ResourceVersion of a list is where a watch goes on.
	ResourceVersion string
}

func (o ListOptions) query() url.Values {
	q := url.Values{}
	for key, value := range map[string]string{
		"labelSelector": o.LabelSelector, "fieldSelector": o.FieldSelector, "resourceVersion": o.ResourceVersion,
	} {
		if value != "" {
			q.Set(key, value)
		}
	}
	return q
}

func namespaced(prefix, namespace, resource string) string {
	if namespace == "" {
		return prefix + "/" + resource
	}
	return prefix + "/namespaces/" + url.PathEscape(namespace) + "/" + resource
}

// Pods lists pods.
func (c *Client) Pods(ctx context.Context, o ListOptions) (*corev1.PodList, error) {
	return get[corev1.PodList](ctx, c, namespaced("/api/v1", o.Namespace, "pods"), o.query())
}

// Pod returns the newest instance of one pod.
func (c *Client) Pod(ctx context.Context, key pod.Key) (*corev1.Pod, error) {
	return get[corev1.Pod](ctx, c, podPath("/api/v1", key, ""), nil)
}

// Events lists events, oldest first.
func (c *Client) Events(ctx context.Context, o ListOptions) (*corev1.EventList, error) {
	return get[corev1.EventList](ctx, c, namespaced("/api/v1", o.Namespace, "events"), o.query())
}

// PodMetrics lists what running pods use; it may take a second.
func (c *Client) PodMetrics(ctx context.Context, o ListOptions) (*PodMetricsList, error) {
	return get[PodMetricsList](ctx, c, namespaced("/apis/metrics.k8s.io/v1beta1", o.Namespace, "pods"), o.query())
}

// Nodes lists the one node.
func (c *Client) Nodes(ctx context.Context) (*corev1.NodeList, error) {
	return get[corev1.NodeList](ctx, c, "/api/v1/nodes", nil)
}

// Node returns the node, if that is its name.
func (c *Client) Node(ctx context.Context, name string) (*corev1.Node, error) {
	return get[corev1.Node](ctx, c, "/api/v1/nodes/"+url.PathEscape(name), nil)
}

// NodeMetrics tells what the server uses; it may take a second.
func (c *Client) NodeMetrics(ctx context.Context) (*NodeMetricsList, error) {
	return get[NodeMetricsList](ctx, c, "/apis/metrics.k8s.io/v1beta1/nodes", nil)
}

// Details lists pods with their details; a name restricts it.
func (c *Client) Details(ctx context.Context, o ListOptions, name string) (*DetailsList, error) {
	q := o.query()
	if name != "" {
		q.Set("name", name)
	}
	return get[DetailsList](ctx, c, namespaced("/podstead/v1", o.Namespace, "pods"), q)
}

// Status tells how podstead, its sources and its runtime are.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	return get[Status](ctx, c, "/podstead/v1/status", nil)
}

// Images lists the stored images.
func (c *Client) Images(ctx context.Context) (*StoredImageList, error) {
	return get[StoredImageList](ctx, c, "/podstead/v1/images", nil)
}

// Version tells which podstead answers.
func (c *Client) Version(ctx context.Context) (*Version, error) {
	return get[Version](ctx, c, "/version", nil)
}

// Restart restarts a container of a pod, all of them when container is
// empty.
func (c *Client) Restart(ctx context.Context, key pod.Key, container string) error {
	q := url.Values{}
	if container != "" {
		q.Set("container", container)
	}
	body, err := c.do(ctx, http.MethodPost, podPath("/podstead/v1", key, "/restart"), q)
	if err != nil {
		return err
	}
	return body.Close()
}

// Reload lets podstead read its configuration again. What is wrong with the
// file is in the answer, and no error.
func (c *Client) Reload(ctx context.Context) (*Configuration, error) {
	return ask[Configuration](ctx, c, http.MethodPost, "/podstead/v1/reload", nil)
}

// WatchPods calls seen for each change of pods, beginning with all of them
// unless o.ResourceVersion is set, until ctx ends, the server ends or seen
// returns an error.
func (c *Client) WatchPods(ctx context.Context, o ListOptions, seen func(watch.EventType, *corev1.Pod) error) error {
	return watchObjects(ctx, c, namespaced("/api/v1", o.Namespace, "pods"), o, seen)
}

// WatchEvents is like WatchPods for events.
func (c *Client) WatchEvents(ctx context.Context, o ListOptions, seen func(watch.EventType, *corev1.Event) error) error {
	return watchObjects(ctx, c, namespaced("/api/v1", o.Namespace, "events"), o, seen)
}

func podPath(prefix string, key pod.Key, suffix string) string {
	return namespaced(prefix, key.Namespace, "pods") + "/" + url.PathEscape(key.Name) + suffix
}

func get[T any](ctx context.Context, c *Client, path string, q url.Values) (*T, error) {
	return ask[T](ctx, c, http.MethodGet, path, q)
}

func ask[T any](ctx context.Context, c *Client, method, path string, q url.Values) (*T, error) {
	return askWith[T](ctx, c, method, path, q, nil)
}

// askWith sends a body, none if that is nil.
func askWith[T any](ctx context.Context, c *Client, method, path string, q url.Values, sent io.Reader) (*T, error) {
	body, err := c.send(ctx, method, path, q, sent)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var into T
	if err := json.NewDecoder(body).Decode(&into); err != nil {
		return nil, fmt.Errorf("read podstead's answer to %s: %w", path, err)
	}
	return &into, nil
}

func watchObjects[T any](ctx context.Context, c *Client, path string, o ListOptions, seen func(watch.EventType, *T) error) error {
	q := o.query()
	q.Set("watch", "true")
	body, err := c.do(ctx, http.MethodGet, path, q)
	if err != nil {
		return err
	}
	defer body.Close()
	in := json.NewDecoder(body)
	for {
		var event metav1.WatchEvent
		if err := in.Decode(&event); err != nil {
			return streamEnd(ctx, path, err)
		}
		var object T
		if err := json.Unmarshal(event.Object.Raw, &object); err != nil {
			return fmt.Errorf("read an object from the watch of %s: %w", path, err)
		}
		if err := seen(watch.EventType(event.Type), &object); err != nil {
			return err
		}
	}
}

// streamEnd tells why a stream ended; nil when ctx did it.
func streamEnd(ctx context.Context, path string, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("podstead ended the stream of %s: %w", path, err)
}

// do returns the body of a successful answer.
func (c *Client) do(ctx context.Context, method, path string, q url.Values) (io.ReadCloser, error) {
	return c.send(ctx, method, path, q, nil)
}

func (c *Client) send(ctx context.Context, method, path string, q url.Values, body io.Reader) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://podstead"+path+"?"+q.Encode(), body)
	if err != nil {
		return nil, fmt.Errorf("ask podstead: %w", err)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	if answer.StatusCode >= 300 {
		defer answer.Body.Close()
		return nil, refusal(answer)
	}
	return answer.Body, nil
}

// failure tells a server that can't be reached from a caller who gave up.
func (c *Client) failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &UnreachableError{Socket: c.socket, Err: err}
}

// refusal reads the Status of an answer that is no success.
func refusal(answer *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxMessage))
	if err != nil {
		return fmt.Errorf("read podstead's refusal: %w", err)
	}
	var status metav1.Status
	if err := json.Unmarshal(text, &status); err != nil || status.Message == "" {
		return fmt.Errorf("podstead answered %s: %s", answer.Status, bytes.TrimSpace(text))
	}
	return &apierrors.StatusError{ErrStatus: status}
}
