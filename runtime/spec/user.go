package spec

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/moby/sys/user"
)

// MaxUserFile is the size in bytes up to which /etc/passwd and /etc/group of
// an image are used; larger ones are refused, not cut.
const MaxUserFile = 1 << 20

// maxGroups is the kernel's NGROUPS_MAX.
const maxGroups = 65536

// identity is who a process runs as.
type identity struct {
	uid, gid uint32
	// groups are those that list the user as a member.
	groups []uint32
}

// resolveUser resolves NAME, UID, NAME:GROUP or UID:GID (each part a name or
// a number; empty means root) over the files of a root file system. Numbers
// have to fit 31 bits and need no entry; names need one. The group of a user
// without an entry is 0. An unusual file fails the lookup; it never makes
// root of somebody else.
func resolveUser(who string, passwd, group []byte) (identity, error) {
	if len(passwd) > MaxUserFile || len(group) > MaxUserFile {
		return identity{}, fmt.Errorf("its /etc/passwd or /etc/group is larger than %d bytes", MaxUserFile)
	}
	passwd, group = wellFormed(passwd, 2, 3), wellFormed(group, 2)
	u, err := user.GetExecUser(who, nil, bytes.NewReader(passwd), bytes.NewReader(group))
	if err != nil {
		return identity{}, err
	}
	// The library lists memberships only where no group was named; they are
	// the user's all the same.
	name, _, _ := strings.Cut(who, ":")
	member, err := user.GetExecUser(name, nil, bytes.NewReader(passwd), bytes.NewReader(group))
	if err != nil {
		return identity{}, err
	}
	id := identity{uid: uint32(u.Uid), gid: uint32(u.Gid)}
	for _, g := range member.Sgids {
		id.groups = append(id.groups, uint32(g))
	}
	return id, nil
}

// wellFormed keeps the lines whose given fields are ids. The parser would
// read an id that is no number as 0, which is root, and one beyond 32 bits
// could be cut to it.
func wellFormed(file []byte, fields ...int) []byte {
	var out []byte
	for line := range bytes.Lines(file) {
		parts := strings.Split(strings.TrimSpace(string(line)), ":")
		good := parts[0] != ""
		for _, f := range fields {
			good = good && f < len(parts) && validID(parts[f])
		}
		if good {
			out = append(append(out, bytes.TrimSpace(line)...), '\n')
		}
	}
	return out
}

func validID(s string) bool {
	_, err := strconv.ParseUint(s, 10, 31)
	return err == nil
}

// isNumeric tells a user id from a name as the kubelet does: by what the
// image says, whatever its files make of it.
func isNumeric(s string) bool {
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil
}

func validGID(id int64) bool { return id >= 0 && id <= math.MaxInt32 }
