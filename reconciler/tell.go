package reconciler

import (
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/sources"
)

// tell logs and counts what a decision has changed.
func (r *Reconciler) tell(was, is State) {
	log := r.cfg.Logger
	for i := range is.Records {
		rec := &is.Records[i]
		old := was.find(rec.Commit)
		if old == nil {
			old = &Record{}
		}
		judged := old.Result != rec.Result
		switch {
		case rec.Branch && (judged || !old.Branch || rec.Commit == is.Head && was.Head != is.Head):
			r.metrics.commits.WithLabelValues(rec.Result).Inc()
			if rec.Result == Bad {
				log.Warn("commit refused", "commit", rec.Commit, "reason", firstError(rec.Diagnostics))
			} else {
				log.Info("commit accepted", "commit", rec.Commit)
			}
		case judged && rec.Result != "":
			log.Info("pull request checked", "pr", rec.Pulls, "commit", rec.Commit, "verdict", rec.Result, "reason", r.rules.wanted(rec, report.KindCheck).Description)
		}
		if h := rec.Health; h != nil && (old.Health == nil || !same(*h, *old.Health)) {
			tell := log.Info
			if h.State == sources.Failure {
				tell = log.Warn
			}
			tell("health judged", "commit", rec.Commit, "verdict", h.State, "reason", h.Description)
		}
		if late := report.Late(deadline); same(r.rules.wanted(rec, report.KindCheck), late) && !same(r.rules.wanted(old, report.KindCheck), late) {
			r.metrics.expired.Inc()
			log.Warn("pull request not checked in time", "pr", rec.Pulls, "commit", rec.Commit)
		}
		if a, b := old.Applied, rec.Applied; b != nil && rec.Result == Good && (a == nil || a.Status.State != b.Status.State) {
			r.tellVerdict(rec)
		}
	}
	r.tellComments(was, is)
}

// tellComments logs the comments that could not be made.
func (r *Reconciler) tellComments(was, is State) {
	for n, p := range is.Pulls {
		if old := was.Pulls[n]; p.mistake != "" && (old == nil || old.body != p.body) {
			r.cfg.Logger.Error("comment not made", "pr", n, "commit", p.Report.Head, "err", "the daemon has a mistake", "reason", p.mistake)
		}
	}
}

func (r *Reconciler) tellVerdict(rec *Record) {
	a, log := rec.Applied, r.cfg.Logger.With("commit", rec.Commit)
	switch a.Status.State {
	case sources.Pending:
		return
	case sources.Success:
		log.Info("commit applied", "reason", a.Status.Description)
	case sources.Failure:
		what := "commit not applied" // its rollout failed, or waits since the same has
		if len(a.rejected()) > 0 {
			what = "commit refused by a proxy"
		}
		log.Warn(what, "reason", a.Status.Description)
		for _, x := range a.rejected() {
			log.Warn("proxy refused", "proxy", x.Proxy, "type", x.Type, "err", x.Message)
		}
	default:
		log.Info("commit superseded", "reason", a.Status.Description)
	}
	r.metrics.verdicts.WithLabelValues(string(a.Status.State)).Inc()
}

// tellOrders logs and counts commands: taken are those that were not answered with a
// refusal.
func (r *Reconciler) tellOrders(orders []Order, is State) {
	for _, o := range orders {
		log := r.cfg.Logger.With("pr", o.Pull, "type", o.Verb)
		if why := is.refusal(o); why != "" {
			r.metrics.orders.WithLabelValues("refused").Inc()
			log.Info("command refused", "err", why)
			continue
		}
		r.metrics.orders.WithLabelValues("taken").Inc()
		log.Info("command taken")
	}
}
