package cli_test

import (
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/netpold/netpold/cmd/cli"
)

// terminal returns a terminal, and what is printed on it.
func terminal(t *testing.T) (*os.File, *logWriter) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	var unlocked, number int32
	for request, value := range map[uintptr]*int32{syscall.TIOCSPTLCK: &unlocked, syscall.TIOCGPTN: &number} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), request,
			uintptr(unsafe.Pointer(value))); errno != 0 { //nolint:gosec // as ioctl wants it
			t.Fatal(errno)
		}
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(int(number)), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	printed, ended := newLogWriter(), make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(printed, master) // It ends with an error when the terminal is closed.
	}()
	t.Cleanup(func() {
		_ = slave.Close() // The test may have closed it.
		<-ended
		_ = master.Close()
	})
	return slave, printed
}

// Standard error tells how far an audit is, if it is a terminal, and clears the line at the end. Standard output has
// none of it.
func TestAuditProgress(t *testing.T) {
	t.Parallel()
	state := writeFile(t, "cluster.yaml", cluster)
	screen, printed := terminal(t)
	in, input := io.Pipe()
	out, code := newLogWriter(), make(chan int, 1)
	go func() {
		code <- cli.Run(t.Context(), []string{"audit", "--manifests", state, "-o", "json"}, in, out, screen, nil)
	}()
	if _, err := io.WriteString(input, flowLines); err != nil {
		t.Fatal(err)
	}
	printed.awaitText(t, func(text string) bool { return strings.Contains(text, "\r\x1b[K9 records, ") })
	if err := input.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-code; got != 1 || strings.Contains(out.String(), "a second") {
		t.Errorf("exit %d\n%s", got, out)
	}
	if err := screen.Close(); err != nil {
		t.Error(err)
	}
	printed.awaitText(t, func(text string) bool { return strings.HasSuffix(text, "\r\x1b[K") })
}

func TestAuditProgressText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		records, done, total int64
		want                 string
	}{
		{3000, 0, 0, "3000 records, 300 a second"},
		{3000, 250, 1000, "3000 records, 300 a second, 25%, 30s left"},
		{3000, 1200, 1000, "3000 records, 300 a second, 100%, 0s left"}, // the file has grown
	} {
		if got := cli.ProgressText(c.records, c.done, c.total, 10*time.Second); got != c.want {
			t.Errorf("%+v is %q", c, got)
		}
	}
}
