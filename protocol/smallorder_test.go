// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"crypto/ed25519"
	"math/big"
	"slices"
	"testing"
)

// The curve of Ed25519: -x²+y² = 1+d·x²·y² modulo p.
var (
	curveP = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	curveD = mod(new(big.Int).Mul(big.NewInt(-121665), new(big.Int).ModInverse(big.NewInt(121666), curveP)))
)

func mod(x *big.Int) *big.Int { return x.Mod(x, curveP) }

func mul(a, b *big.Int) *big.Int { return mod(new(big.Int).Mul(a, b)) }

type curvePoint struct{ x, y *big.Int }

func (p curvePoint) add(q curvePoint) curvePoint {
	one := big.NewInt(1)
	k := mul(curveD, mul(mul(p.x, q.x), mul(p.y, q.y)))
	x := mul(new(big.Int).Add(mul(p.x, q.y), mul(q.x, p.y)), new(big.Int).ModInverse(mod(new(big.Int).Add(one, k)), curveP))
	y := mul(new(big.Int).Add(mul(p.y, q.y), mul(p.x, q.x)), new(big.Int).ModInverse(mod(new(big.Int).Sub(one, k)), curveP))
	return curvePoint{x, y}
}

// decodePoint reads an encoding, also one whose y is not below p or whose x is
// 0 with the sign set, as lenient verifiers do.
func decodePoint(k PublicKey) (curvePoint, bool) {
	odd := k[31]&0x80 != 0
	k[31] &= 0x7f
	slices.Reverse(k[:])
	y := mod(new(big.Int).SetBytes(k[:]))
	yy := mul(y, y)
	x2 := mul(new(big.Int).Sub(yy, big.NewInt(1)), new(big.Int).ModInverse(mod(new(big.Int).Add(mul(curveD, yy), big.NewInt(1))), curveP))
	x := new(big.Int).ModSqrt(x2, curveP)
	if x == nil {
		return curvePoint{}, false
	}
	if (x.Bit(0) == 1) != odd {
		x = mod(new(big.Int).Neg(x))
	}
	return curvePoint{x, y}, true
}

func (p curvePoint) smallOrder() bool {
	for range 3 {
		p = p.add(p)
	}
	return p.x.Sign() == 0 && p.y.Cmp(big.NewInt(1)) == 0
}

func encodeY(y *big.Int) (k PublicKey) {
	y.FillBytes(k[:])
	slices.Reverse(k[:])
	return k
}

// The list is held against the curve: all points of order eight and below, in
// every spelling that fits 255 bits, and no others.
func TestSmallOrderKeysAreAllListed(t *testing.T) {
	want := map[PublicKey]bool{}
	// A generator of the eight points: a multiple by the group's large prime.
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	for seed := byte(2); len(want) < 14 && seed < 60; seed++ {
		base, ok := decodePoint(PublicKey{seed})
		if !ok {
			continue
		}
		p := curvePoint{big.NewInt(0), big.NewInt(1)}
		for i := order.BitLen() - 1; i >= 0; i-- {
			if p = p.add(p); order.Bit(i) == 1 {
				p = p.add(base)
			}
		}
		if !p.smallOrder() {
			t.Fatalf("%v has no small order", p)
		}
		for q, n := p, 0; n < 8; q, n = q.add(p), n+1 {
			for y := new(big.Int).Set(q.y); y.BitLen() <= 255; y.Add(y, curveP) {
				for _, sign := range []byte{0, 0x80} {
					k := encodeY(y)
					k[31] |= sign
					want[k] = true
				}
			}
		}
	}
	if len(want) != 2*len(smallOrderY) {
		t.Errorf("%d encodings, the list knows %d", len(want), 2*len(smallOrderY))
	}
	for k := range want {
		if !k.SmallOrder() {
			t.Errorf("%x is not listed", k[:])
		}
		if _, err := ParsePublicKey(k.String()); err == nil {
			t.Errorf("%x is taken for a key", k[:])
		}
	}
	for i := range smallOrderY {
		if p, ok := decodePoint(smallOrderY[i]); !ok || !p.smallOrder() {
			t.Errorf("%x is listed and has no small order", smallOrderY[i][:])
		}
	}
	for range 100 {
		pub, _, err := ed25519.GenerateKey(nil)
		if err != nil || PublicKey(pub).SmallOrder() {
			t.Fatal(err, pub)
		}
	}
}

// Who could sign for a key without a secret would act for its node.
func TestNobodysKeyIsRefusedWhereverAKeyEnters(t *testing.T) {
	zero := PublicKey{}.String()
	for name, body := range map[string]Body{
		"register":   &Register{PublicKey: zero},
		"rotate_key": &RotateKey{NodeID: 1, NewPublicKey: zero},
	} {
		if e := Check(Must(name), body); e == nil || e.Code != CodeInvalid {
			t.Errorf("%s: %v", name, e)
		}
	}
}
