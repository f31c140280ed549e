package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// httpRequest is a request of HTTP/1.1 as it goes over the wire.
func httpRequest(method, host, path, contentType string, body []byte) []byte {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		method, path, host, contentType, len(body))
	return append([]byte(head), body...)
}

// kept is a connection of HTTP/1.1 that is kept open. It reads no more of an answer than it must to know its end.
type kept struct {
	conn   net.Conn
	reader *bufio.Reader
}

var contentLength = []byte("content-length:")

func (k *kept) call(_ context.Context, request []byte) ([]byte, error) {
	if _, err := k.conn.Write(request); err != nil {
		return nil, err
	}
	line, err := k.reader.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	status, found := strings.CutPrefix(string(bytes.TrimSpace(line)), "HTTP/1.1 ")
	if !found {
		return nil, fmt.Errorf("%q is not the first line of an answer of HTTP/1.1", line)
	}
	length := -1
	for {
		line, err := k.reader.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		if len(line) > len(contentLength) && bytes.EqualFold(line[:len(contentLength)], contentLength) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(contentLength):]))); err != nil {
				return nil, err
			}
		}
	}
	if strings.HasPrefix(status, "204 ") {
		return nil, nil
	}
	if length < 0 {
		return nil, fmt.Errorf("an answer %s without Content-Length", status)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(k.reader, body); err != nil {
		return nil, err
	}
	if status[0] != '2' {
		return nil, fmt.Errorf("%s: %s", status, body)
	}
	return body, nil
}

type keptConns []net.Conn

// Close implements [io.Closer].
func (c keptConns) Close() error {
	var all error
	for _, conn := range c {
		all = errors.Join(all, conn.Close())
	}
	return all
}

// dialHTTP dials a connection for each caller.
func dialHTTP(addr string) func(int) ([]caller, io.Closer, error) {
	return func(callers int) ([]caller, io.Closer, error) {
		var list keptConns
		var to []caller
		for range callers {
			conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", addr)
			if err != nil {
				return nil, nil, errors.Join(err, list.Close())
			}
			list = append(list, conn)
			to = append(to, &kept{conn, bufio.NewReader(conn)})
		}
		return to, list, nil
	}
}
