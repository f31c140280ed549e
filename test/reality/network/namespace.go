//go:build linux

package network

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// A Namespace is a network namespace: links, addresses, routes, rules and sockets of its own. Its methods are
// safe for concurrent use.
type Namespace struct {
	name    string
	file    *os.File
	threads *Threads
}

// NewNamespace returns a new, empty namespace whose loopback is up. name is for messages. It needs the rights
// of root.
func NewNamespace(name string, threads *Threads) (*Namespace, error) {
	n := &Namespace{name: name, threads: threads}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine, inside the new namespace
		made <- n.make()
	}()
	if err := <-made; err != nil {
		return nil, fmt.Errorf("namespace %s: %w", name, err)
	}
	return n, n.IP("link set lo up")
}

// make moves the thread into a namespace that it makes, and opens that.
func (n *Namespace) make() (err error) {
	if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
		n.file, err = os.Open("/proc/thread-self/ns/net")
	}
	return err
}

// Close gives the namespace up. It is gone when the last program and socket inside it is.
func (n *Namespace) Close() error { return n.file.Close() }

// Name returns the name for messages.
func (n *Namespace) Name() string { return n.name }

// Path returns a path that names the namespace to programs, such as nsenter, as long as this process lives.
func (n *Namespace) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd()) }

// Do does work inside the namespace, and returns when it is done. Sockets that work opens stay in the namespace.
func (n *Namespace) Do(work func() error) error {
	var failed error
	if err := n.threads.do(n.file, func() { failed = work() }); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("in %s: %w", n.name, failed)
	}
	return nil
}

// Run runs a program inside the namespace to its end, and returns what it wrote.
func (n *Namespace) Run(stdin string, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := n.Do(func() error {
		if err := cmd.Start(); err != nil {
			return err
		}
		return cmd.Wait()
	})
	if err != nil {
		return output.String(), fmt.Errorf("%w: %s: %s", err, cmd, strings.TrimSpace(output.String()))
	}
	return output.String(), nil
}

// IP runs commands of iproute2, one a line, inside the namespace.
func (n *Namespace) IP(commands ...string) error {
	_, err := n.Run(strings.Join(commands, "\n")+"\n", "ip", "-batch", "-")
	return err
}

// Set sets parameters of the kernel that belong to the namespace, such as "net/ipv4/ip_forward".
func (n *Namespace) Set(parameters map[string]string) error {
	return n.Do(func() error {
		for name, value := range parameters {
			if err := os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0); err != nil {
				return err
			}
		}
		return nil
	})
}

// Connect lays a cable: a link called near in n, whose other end is a link called far in other. Both are up.
func Connect(n *Namespace, near string, other *Namespace, far string) error {
	if err := n.IP(
		fmt.Sprintf("link add %s type veth peer name %s netns %s", near, far, other.Path()),
		"link set "+near+" up",
	); err != nil {
		return err
	}
	return other.IP("link set " + far + " up")
}
