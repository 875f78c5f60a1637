package runtime

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/api/events"
	coreevents "github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/typeurl/v2"
	"google.golang.org/grpc/connectivity"
)

// helloTopic is published by Watch itself: seeing it proves that containerd
// has registered the subscription.
const helloTopic = "/podstead/hello"

// Watch implements agent.Containers. changed is called from this goroutine,
// with "" as soon as a new subscription is known to be in force.
func (r *Runtime) Watch(ctx context.Context, changed func(id string)) error {
	ctx = r.scope(ctx)
	for ctx.Err() == nil {
		r.awaitReady(ctx)
		r.subscribe(ctx, changed)
	}
	return nil
}

// awaitReady returns when there is a connection or ctx ended.
func (r *Runtime) awaitReady(ctx context.Context) {
	for ctx.Err() == nil {
		state := r.conn.GetState()
		if state == connectivity.Ready {
			return
		}
		r.conn.Connect()
		r.conn.WaitForStateChange(ctx, state)
	}
}

// subscribe passes events on until the subscription breaks.
func (r *Runtime) subscribe(ctx context.Context, changed func(id string)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	bus := r.client.EventService()
	filter := fmt.Sprintf(`namespace==%q,topic~="^/(tasks/(exit|oom|delete|paused)|containers/delete|podstead/hello)$"`, r.cfg.Namespace)
	arrived, broken := bus.Subscribe(ctx, filter)

	// Events before the subscription is in force are lost, so whoever lists
	// now may miss what they said. Hello is repeated until it comes back.
	for greeted := false; !greeted; {
		if bus.Publish(ctx, helloTopic, &events.NamespaceUpdate{Name: r.cfg.Namespace}) != nil {
			return
		}
		select {
		case <-broken:
			return
		case <-arrived:
			greeted = true
		default:
		}
	}
	changed("")
	for {
		select {
		case <-broken:
			return
		case e := <-arrived:
			if id, ok := concerns(e); ok {
				changed(id)
			}
		}
	}
}

// concerns returns the container that an event is about. The ends of single
// exec sessions concern nobody.
func concerns(e *coreevents.Envelope) (id string, ok bool) {
	v, err := typeurl.UnmarshalAny(e.Event)
	if err != nil {
		return "", false
	}
	switch v := v.(type) {
	case *events.TaskExit:
		return v.ContainerID, v.ID == v.ContainerID
	case *events.TaskDelete:
		return v.ContainerID, v.ID == "" || v.ID == v.ContainerID
	case *events.TaskOOM:
		return v.ContainerID, true
	case *events.TaskPaused:
		return v.ContainerID, true
	case *events.ContainerDelete:
		return v.ID, true
	default:
		return "", false
	}
}
