package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// chain is a base chain as nft lists it.
type chain struct {
	Family string `json:"family"`
	Table  string `json:"table"`
	Name   string `json:"name"`
	Hook   string `json:"hook"`
	Policy string `json:"policy"`
}

// foreignBlocks names the chains of others that drop what pods send and get,
// whatever our table says: nftables has no last word but a drop. It tells
// whether they also drop what is led to pods from ports of the host.
func foreignBlocks(ctx context.Context, ranges []netip.Prefix) (texts []string, ports bool, err error) {
	chains, err := forwardChains(ctx)
	if err != nil {
		return nil, false, err
	}
	for _, c := range chains {
		concerned := concerns(c.Family, ranges)
		if ourName(c.Table) || len(concerned) == 0 {
			continue
		}
		content, err := nftOutput(ctx, "-s", "list", "table", c.Family, c.Table)
		if err != nil {
			continue // it went meanwhile
		}
		how := c.drops(content)
		if how == "" || allows(content, concerned, c.Table == "firewalld") {
			continue
		}
		what := "what is forwarded, pods included"
		if led.MatchString(c.body(content)) {
			what = "what pods send, and what is sent to their own addresses"
		} else {
			ports = true
		}
		texts = append(texts, fmt.Sprintf("chain %s of nftables table %s %s %s %s: run %s, and make it last over a reboot",
			c.Name, c.Family, c.Table, how, what, c.remedy(content, concerned)))
	}
	legacy := legacyBlocks(ctx, ranges)
	return append(texts, legacy...), ports || len(legacy) > 0, nil
}

// led matches the rule by which firewalld lets through whatever was led
// elsewhere, such as from ports of the host to pods.
var led = regexp.MustCompile(`(?m)^\s*ct status dnat accept$`)

func forwardChains(ctx context.Context) ([]chain, error) {
	out, err := nftOutput(ctx, "-j", "list", "chains")
	if err != nil {
		return nil, err
	}
	var list struct {
		Nftables []struct {
			Chain *chain `json:"chain"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("read what nft lists: %w", err)
	}
	var chains []chain
	for _, e := range list.Nftables {
		if e.Chain != nil && e.Chain.Hook == "forward" {
			chains = append(chains, *e.Chain)
		}
	}
	return chains, nil
}

// concerns are the ranges that a family of tables sees.
func concerns(family string, ranges []netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	for _, r := range ranges {
		if family == "inet" || family == "ip" && r.Addr().Is4() || family == "ip6" && r.Addr().Is6() {
			out = append(out, r.Masked())
		}
	}
	return out
}

var lastWord = regexp.MustCompile(`^(log .*|counter( packets \d+ bytes \d+)?)? ?(drop|reject.*)$`)

// drops tells how a chain drops what nobody accepted, empty if it does not: by
// its policy or by its last rule.
func (c chain) drops(content string) string {
	if c.Policy == "drop" {
		return "drops by its policy"
	}
	lines := strings.Split(c.body(content), "\n")
	if lastWord.MatchString(strings.TrimSpace(lines[len(lines)-1])) {
		return "drops by its last rule"
	}
	return ""
}

// body is what a table's listing says of the chain, empty if it says nothing.
func (c chain) body(content string) string {
	_, body, _ := strings.Cut(content, "\tchain "+c.Name+" {\n")
	body, _, ended := strings.Cut(body, "\n\t}")
	if !ended {
		return ""
	}
	return body
}

// allows tells whether rules let pods' ranges through, both ways.
func allows(content string, ranges []netip.Prefix, oneWay bool) bool {
	for _, r := range ranges {
		ways := 0
		for _, way := range []string{"saddr ", "daddr "} {
			pattern := regexp.MustCompile(`(?m)` + way + regexp.QuoteMeta(r.String()) + `\b.*\b(accept|goto|jump)\b`)
			if pattern.MatchString(content) {
				ways++
			}
		}
		if ways == 0 || ways == 1 && !oneWay {
			return false
		}
	}
	return true
}

// remedy is the command that lets pods through, in the words of whoever made
// the table.
func (c chain) remedy(content string, ranges []netip.Prefix) string {
	var commands []string
	for _, r := range ranges {
		tool, family := "iptables", "ip"
		if r.Addr().Is6() {
			tool, family = "ip6tables", "ip6"
		}
		switch {
		case strings.Contains(content, "chain ufw"):
			commands = append(commands, fmt.Sprintf("ufw route allow from %s", r), fmt.Sprintf("ufw route allow to %s", r))
		case c.Table == "firewalld":
			commands = append(commands, fmt.Sprintf("firewall-cmd --permanent --zone=trusted --add-source=%s", r), "firewall-cmd --reload")
		case c.Family != "inet" && c.Table == "filter":
			into := "FORWARD"
			if strings.Contains(content, "chain DOCKER-USER {") {
				into = "DOCKER-USER"
			}
			commands = append(commands, fmt.Sprintf("%s -I %s -s %s -j ACCEPT", tool, into, r), fmt.Sprintf("%s -I %s -d %s -j ACCEPT", tool, into, r))
		default:
			for _, way := range []string{"saddr", "daddr"} {
				commands = append(commands, fmt.Sprintf("nft insert rule %s %s %s %s %s %s accept", c.Family, c.Table, c.Name, family, way, r))
			}
		}
	}
	return strings.Join(slices.Compact(commands), " && ")
}

// legacyBlocks looks at iptables of old, which nft doesn't list: only where
// the kernel has its table filter, for to ask makes one.
func legacyBlocks(ctx context.Context, ranges []netip.Prefix) []string {
	var texts []string
	for tool, names := range map[string]string{"iptables": "/proc/net/ip_tables_names", "ip6tables": "/proc/net/ip6_tables_names"} {
		concerned := concerns(map[string]string{"iptables": "ip", "ip6tables": "ip6"}[tool], ranges)
		used, err := os.ReadFile(names)
		if err != nil || len(concerned) == 0 || !slices.Contains(strings.Fields(string(used)), "filter") {
			continue
		}
		out, err := exec.CommandContext(ctx, tool+"-legacy", "-S").Output()
		if errors.Is(err, exec.ErrNotFound) || !strings.Contains(string(out), "-P FORWARD DROP") {
			continue
		}
		r := concerned[0]
		if strings.Contains(string(out), "-s "+r.String()+" -j ACCEPT") && strings.Contains(string(out), "-d "+r.String()+" -j ACCEPT") {
			continue
		}
		texts = append(texts, fmt.Sprintf("chain FORWARD of table filter (%[1]s-legacy) drops by its policy what is forwarded, pods included: "+
			"run %[1]s-legacy -I FORWARD -s %[2]s -j ACCEPT && %[1]s-legacy -I FORWARD -d %[2]s -j ACCEPT, and make it last over a reboot", tool, r))
	}
	slices.Sort(texts)
	return texts
}
