package wire

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

// addressTexts are addresses and what is nearly one.
var addressTexts = []string{
	"10.0.12.7", "0.0.0.0", "255.255.255.255", "256.0.0.1", "1.2.3", "01.2.3.4", "", ":", "::", ":::", "::1", "1::", "::1::",
	"fd00:10:244:3::1f", "2001:DB8::9", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3::5:6:7:8", "1:2:3::4:5:6:7:8",
	"1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8:", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "12345::", "::12345", "0000::0001",
	"1:", ":1", "1::2:", "1:::2", "g::", "::g", "::ffff:10.0.0.1", "::ffff:a00:1", "64:ff9b::10.0.0.1", "fe80::1%eth0", "1::%", " ::1", "::1 ",
	"1::@", "::`", "::/", "1/::", "\x00::", "\xc3\xa9::",
}

// checkAddress compares what a question's reader makes of a text with package netip.
func checkAddress(t *testing.T, text string) {
	t.Helper()
	ip, ok := readIP([]byte(text))
	want, err := netip.ParseAddr(text)
	if wantOK := err == nil && want.Zone() == ""; ok != wantOK || ok && ip != want.Unmap() {
		t.Errorf("readIP(%q) = %v, %v; netip has %v, %v", text, ip, ok, want, err)
	}
}

// TestReadIP asks about telling texts, and about those of random addresses with characters changed.
func TestReadIP(t *testing.T) {
	for _, text := range addressTexts {
		checkAddress(t, text)
	}
	rng := rand.New(rand.NewPCG(1, 6))
	byHand := 0
	for range 50_000 {
		var b [16]byte
		for i := range b {
			if rng.IntN(3) == 0 {
				b[i] = byte(rng.UintN(256))
			}
		}
		text := netip.AddrFrom16(b).String()
		if rng.IntN(4) == 0 {
			text = netip.AddrFrom16(b).StringExpanded()
		}
		if _, ok := readIPv6([]byte(text)); ok {
			byHand++
		}
		checkAddress(t, text)
		changed := []byte(text)
		for range 1 + rng.IntN(2) {
			changed[rng.IntN(len(changed))] = "0f:.%gG"[rng.IntN(7)]
		}
		checkAddress(t, string(changed))
		at := rng.IntN(len(text))
		checkAddress(t, text[:at]+text[at+1:])
		checkAddress(t, strings.ToUpper(text[:at]+":"+text[at:]))
	}
	if byHand < 49_000 {
		t.Errorf("readIPv6 read %d of 50,000 addresses, want nearly all", byHand)
	}
}

func FuzzReadIP(f *testing.F) {
	for _, text := range addressTexts {
		f.Add(text)
	}
	f.Fuzz(checkAddress)
}

// BenchmarkReadIP measures an address of each family.
func BenchmarkReadIP(b *testing.B) {
	for _, text := range []string{"10.0.12.7", "fd00:10:244:3::1f"} {
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := readIP([]byte(text)); !ok {
					b.Fatal("no address")
				}
			}
		})
	}
}
