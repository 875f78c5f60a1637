package config

import (
	"fmt"
	"strconv"
	"strings"
)

// PortRange is a port or several: "80" or "8000-8999".
type PortRange struct{ First, Last int32 }

// UnmarshalText reads FIRST or FIRST-LAST, each from 1 to 65535.
func (p *PortRange) UnmarshalText(text []byte) error {
	first, last, isRange := strings.Cut(string(text), "-")
	if !isRange {
		last = first
	}
	for _, half := range []struct {
		text string
		to   *int32
	}{{first, &p.First}, {last, &p.Last}} {
		n, err := strconv.ParseInt(half.text, 10, 32)
		if err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("%q is no port", half.text)
		}
		*half.to = int32(n)
	}
	if p.Last < p.First {
		return fmt.Errorf("%d comes after %d", p.First, p.Last)
	}
	return nil
}

func (p PortRange) String() string {
	if p.First == p.Last {
		return strconv.Itoa(int(p.First))
	}
	return fmt.Sprintf("%d-%d", p.First, p.Last)
}
