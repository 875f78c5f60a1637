package source

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/podstead/podstead/pod"
)

// names are keys: small letters of pods, capital ones of Services.
func names(list string) []pod.ObjectKey {
	var keys []pod.ObjectKey
	for _, c := range list {
		kind := pod.KindPod
		if unicode.IsUpper(c) {
			kind = pod.KindService
		}
		keys = append(keys, pod.ObjectKey{Kind: kind, Key: key(string(c))})
	}
	return keys
}

func TestGuardHoldsMassDeletes(t *testing.T) {
	type step struct {
		at              time.Duration
		wanted, omitted string
		held            string
	}
	for name, test := range map[string]struct {
		config GuardConfig
		steps  []step
	}{
		"few are removed at once":        {steps: []step{{0, "abcdefgh", "abc", ""}}},
		"half is not more than half":     {steps: []step{{0, "abcdefgh", "abcd", ""}}},
		"more than half is held":         {steps: []step{{0, "abcdefgh", "abcde", "abcde"}}},
		"three of four are few":          {steps: []step{{0, "abcd", "abc", ""}}},
		"all of one is held":             {steps: []step{{0, "a", "a", "a"}}},
		"all of three is held":           {steps: []step{{0, "abc", "abc", "abc"}}},
		"confirmed after 30 s":           {steps: []step{{0, "abc", "abc", "abc"}, {29, "abc", "abc", "abc"}, {30, "abc", "abc", ""}}},
		"only what is confirmed goes":    {steps: []step{{0, "abcdef", "abcd", "abcd"}, {30, "abcdef", "abcde", "e"}}},
		"a good answer forgets":          {steps: []step{{0, "abc", "abc", "abc"}, {20, "abc", "", ""}, {40, "abc", "abc", "abc"}}},
		"switched off":                   {config: GuardConfig{AllowEmpty: true}, steps: []step{{0, "abc", "abc", ""}}},
		"configured":                     {config: GuardConfig{Objects: 1, Fraction: 0.2, Confirm: 5}, steps: []step{{0, "abcd", "ab", "ab"}, {5, "abcd", "ab", ""}}},
		"nothing wanted, nothing goes":   {steps: []step{{0, "", "", ""}}},
		"all pods, but not the services": {steps: []step{{0, "abAB", "ab", "ab"}}},
		"most pods of many services":     {steps: []step{{0, "abcdefABCDEF", "abcd", "abcd"}}},
		"few pods of many services":      {steps: []step{{0, "abcdefABCDEF", "abc", ""}}},
		"one service of many":            {steps: []step{{0, "abcdefABCD", "A", ""}}},
		"all services of few pods":       {steps: []step{{0, "aABCD", "ABCD", "ABCD"}}},
		"one of the held comes back":     {steps: []step{{0, "abcd", "abcd", "abcd"}, {10, "abcd", "abc", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			test.config.Confirm *= time.Second
			g := newGuard(test.config)
			begin := time.Now()
			for i, s := range test.steps {
				got := g.judge(names(s.wanted), names(s.omitted), begin.Add(s.at*time.Second))
				if diff := cmp.Diff(names(s.held), got); diff != "" {
					t.Errorf("step %d: held (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

func TestGuardNeedsConsecutiveAnswers(t *testing.T) {
	g := newGuard(GuardConfig{})
	now := time.Now()
	g.judge(names("abc"), names("abc"), now)
	g.forget()
	if held := g.judge(names("abc"), names("abc"), now.Add(time.Minute)); len(held) != 3 {
		t.Errorf("held %v after a failed poll in between, want all three", held)
	}
}

func TestEmptyListIsHeldThenBelieved(t *testing.T) {
	server := serve(t, say(firstGood), false)
	r, _ := runURL(t, poll(server.URL, func(c *URLConfig) { c.Guard.Confirm = 150 * time.Millisecond }))
	r.untilPods(t, onePods)
	server.set(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"empty"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		say("kind: List\nitems: []\n")(w, r)
	})
	s, held := r.until(t, "held pods", func(s pod.SourceState) bool { return len(s.Held) == 2 })
	if !maps.Equal(images(s), onePods) || !hasProblem(s, pod.ReasonLimit, "keep running until then") {
		t.Errorf("pods %v, problems %v while held", images(s), s.Problems)
	}
	s, gone := r.untilPods(t, map[string]string{})
	if gone.Sub(held) < 140*time.Millisecond || len(s.Held) > 0 || len(s.Problems) > 0 {
		t.Errorf("removed after %v, held %v, problems %v", gone.Sub(held), s.Held, s.Problems)
	}
}

func TestHeldPodsDoNotKeepTheRestOfAnAnswerBack(t *testing.T) {
	server := serve(t, say(docs(doc("a", "1"), doc("b", "1"), doc("c", "1"), doc("d", "1"), doc("e", "1"))), false)
	r, _ := runURL(t, poll(server.URL))
	r.until(t, "five pods", func(s pod.SourceState) bool { return len(s.Pods) == 5 })
	server.set(say(docs(doc("a", "2"), doc("f", "2"))))
	s, _ := r.untilPods(t, map[string]string{"a": "2", "b": "1", "c": "1", "d": "1", "e": "1", "f": "2"})
	if !slices.Equal(s.Held, names("bcde")) {
		t.Errorf("held %v, want b, c, d and e", s.Held)
	}
}

func TestFailedPollBetweenAnswersStartsTheGuardAnew(t *testing.T) {
	u, err := NewURL(poll("http://test.invalid/", func(c *URLConfig) { c.Guard.Confirm = 30 * time.Second }))
	if err != nil {
		t.Fatal(err)
	}
	r := u.newRun(func(pod.SourceState) {})
	say := func(body string, after time.Duration) {
		p := polled{answer: answer{body: []byte(body)}}
		if body == "" {
			p = polled{rejected: &rejection{ReasonStatus, errors.New("status 500")}}
		}
		r.finish(p, time.Unix(0, 0).Add(after*time.Second))
	}
	const empty = "kind: List\nitems: []\n"
	say(firstGood, 0)
	say(empty, 10)
	say("", 20)
	say(empty, 60)
	if len(r.ledger.wanted) != 2 || len(r.held) != 2 {
		t.Errorf("wanted %v, held %v: answers with a failure between them were taken for consecutive", r.ledger.wanted, r.held)
	}
	say(empty, 90)
	if len(r.ledger.wanted) != 0 {
		t.Errorf("wanted %v after two answers 30 s apart", r.ledger.wanted)
	}
}
