package network

import "context"

type warnings struct{}

func (n *Network) Run(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
