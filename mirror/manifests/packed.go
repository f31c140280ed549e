package manifests

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// packings are the first bytes of archives and the like, and what to do about them.
var packings = []struct{ magic, what string }{
	{"BZh", `is compressed by bzip2: unpack it ("bunzip2 FILE")`},
	{"\xfd7zXZ\x00", `is compressed by xz: unpack it ("unxz FILE")`},
	{"\x28\xb5\x2f\xfd", `is compressed by zstd: unpack it ("unzstd FILE")`},
	{"PK\x03\x04", `is a zip archive: unpack it ("unzip FILE -d DIR") and read the directory`},
}

// unpacked returns the text of a file, which may be compressed by gzip whatever its name. The text may have most
// bytes: a small file could otherwise fill the memory.
func unpacked(data []byte, most int64) ([]byte, error) {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		packed, err := gzip.NewReader(bytes.NewReader(data))
		if err == nil {
			data, err = io.ReadAll(io.LimitReader(packed, most+1))
		}
		if err != nil {
			return nil, fmt.Errorf("is compressed by gzip, and damaged or cut off: %w; make it again", err)
		}
		if int64(len(data)) > most {
			return nil, fmt.Errorf("is more than %d bytes when it is unpacked, which is the limit: divide it, or set "+
				"--max-manifest-bytes to more", most)
		}
	}
	for _, p := range packings {
		if bytes.HasPrefix(data, []byte(p.magic)) {
			return nil, errors.New(p.what)
		}
	}
	if len(data) > 262 && string(data[257:262]) == "ustar" {
		return nil, errors.New(`is an archive: unpack it ("tar xf FILE -C DIR") and read the directory`)
	}
	return data, nil
}
