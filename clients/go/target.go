package netpold

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"google.golang.org/grpc/resolver"
)

// targetForms ends errors of [CheckTarget].
const targetForms = "give HOST:PORT, for example 127.0.0.1:9480 or [::1]:9480, or dns:///HOST:PORT or " +
	"unix:///PATH"

// CheckTarget returns an error with a remedy if target is invalid for [Dial]. gRPC would use port 443 for a
// target without a port.
func CheckTarget(target string) error { return checkTarget(target, false) }

// checkTarget is CheckTarget. With ownSchemes it accepts unknown schemes, which may belong to resolvers of
// the caller.
func checkTarget(target string, ownSchemes bool) error {
	scheme, rest, ok := strings.Cut(target, ":")
	switch {
	case !ok:
		return checkHostPort(target)
	case scheme == "dns":
		return checkHostPort(afterAuthority(rest))
	case resolver.Get(scheme) != nil:
		if strings.Trim(rest, "/") == "" {
			return fmt.Errorf("nothing follows %s: %s", strconv.Quote(scheme+":"), targetForms)
		}
		return nil
	case !strings.HasPrefix(rest, "//"):
		return checkHostPort(target)
	case ownSchemes:
		return nil
	default:
		return fmt.Errorf("%s is no way to name a server: %s", strconv.Quote(scheme+"://"), targetForms)
	}
}

// afterAuthority returns the name in rest, the part of a target after its scheme: //AUTHORITY/NAME, or the
// name alone.
func afterAuthority(rest string) string {
	if authority, ok := strings.CutPrefix(rest, "//"); ok {
		_, name, _ := strings.Cut(authority, "/")
		return name
	}
	return rest
}

func checkHostPort(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		what := "it is no address"
		if cause, ok := errors.AsType[*net.AddrError](err); ok {
			what = cause.Err
		}
		return errors.New(what + ": " + targetForms)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%s is no port from 1 to 65535: %s", strconv.Quote(port), targetForms)
	}
	return nil
}
