package config

import (
	"errors"
	"strconv"
)

// A Port is the value of a flag that takes a port.
type Port struct{ value *uint32 }

// NewPort returns a flag value that sets *value.
func NewPort(value *uint32) *Port { return &Port{value} }

// String returns the port; "" if none is set, so that help shows no default.
func (p *Port) String() string {
	if *p.value == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(*p.value), 10)
}

// Type returns what help shows for the value.
func (p *Port) Type() string { return "port" }

// Set sets the port. It accepts a number from 1 to 65535.
func (p *Port) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return errors.New("not a port")
	}
	*p.value = uint32(n)
	return nil
}
