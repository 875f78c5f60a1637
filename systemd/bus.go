package systemd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// busTime bounds the connecting to a bus, and each call on it.
const busTime = 3 * time.Second

// connect connects to a bus, for as long as ctx goes on.
func connect(ctx context.Context, dial func(...dbus.ConnOption) (*dbus.Conn, error)) (*dbus.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(busTime, cancel)
	conn, err := dial(dbus.WithContext(ctx), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	inTime := late.Stop()
	switch {
	case err != nil:
		cancel()
		if !inTime {
			err = fmt.Errorf("no answer within %s", busTime)
		}
		return nil, err
	case !inTime:
		_ = conn.Close()
		return nil, fmt.Errorf("no answer within %s", busTime)
	default:
		return conn, nil // closing it ends ctx
	}
}

// property reads one property of an object.
func property[T any](ctx context.Context, object dbus.BusObject, iface, name string) (T, error) {
	var value T
	ctx, cancel := context.WithTimeout(ctx, busTime)
	defer cancel()
	var v dbus.Variant
	if err := object.CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, iface, name).Store(&v); err != nil {
		return value, fmt.Errorf("ask for %s: %w", name, err)
	}
	if err := v.Store(&value); err != nil {
		return value, fmt.Errorf("ask for %s: %w", name, err)
	}
	return value, nil
}

// managerSocket is where systemd answers root without a bus.
const managerSocket = "unix:path=/run/systemd/private"

// Stopping tells whether the whole system is being stopped, which systemd
// knows from the moment at which it begins to stop services for it. It asks
// over the system bus, or systemd itself where there is none.
func Stopping(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*busTime)
	defer cancel()
	stopping, err := stopping(ctx, dbus.ConnectSystemBus)
	if err == nil {
		return stopping, nil
	}
	stopping, direct := stoppingAt(ctx, managerSocket)
	if direct != nil {
		return false, errors.Join(err, direct)
	}
	return stopping, nil
}

func stoppingAt(ctx context.Context, address string) (bool, error) {
	return stopping(ctx, func(o ...dbus.ConnOption) (*dbus.Conn, error) {
		conn, err := dbus.Dial(address, o...)
		if err != nil {
			return nil, err
		}
		if err := conn.Auth(nil); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return conn, nil
	})
}

func stopping(ctx context.Context, dial func(...dbus.ConnOption) (*dbus.Conn, error)) (bool, error) {
	conn, err := connect(ctx, dial)
	if err != nil {
		return false, fmt.Errorf("connect to systemd: %w", err)
	}
	defer conn.Close()
	state, err := property[string](ctx, conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1"), "org.freedesktop.systemd1.Manager", "SystemState")
	if err != nil {
		return false, fmt.Errorf("ask systemd: %w", err)
	}
	return state == "stopping", nil
}
