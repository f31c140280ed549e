package server_test

import (
	"net"
	"strings"
	"testing"

	"github.com/netpold/netpold/server"
)

// A port in use is an error at once, and names the field and what to do.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	for field, change := range map[string]func(*server.Config){
		"Listen":      func(c *server.Config) { c.Listen = address },
		"AdminListen": func(c *server.Config) { c.AdminListen = address },
	} {
		config := server.Defaults()
		config.Source = synced()
		config.Listen, config.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
		change(&config)
		_, err := server.New(config)
		if err == nil {
			t.Fatalf("%s: no error", field)
		}
		want := "Config." + field + " " + address + ": "
		remedy := "another process has the port: stop it, or give another one; port 0 takes a free one"
		if !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), remedy) {
			t.Errorf("%v", err)
		}
	}
}

func TestListenErrors(t *testing.T) {
	t.Parallel()
	for address, remedy := range map[string]string{
		"127.0.0.1":      "give HOST:PORT",
		"127.0.0.1:none": "give HOST:PORT",
		"192.0.2.1:0":    "this machine has no such address",
	} {
		config := server.Defaults()
		config.Source = synced()
		config.Listen, config.Insecure = address, true
		_, err := server.New(config)
		if err == nil || !strings.HasPrefix(err.Error(), "Config.Listen "+address+": ") ||
			!strings.Contains(err.Error(), remedy) {
			t.Errorf("%s: %v", address, err)
		}
	}
}
