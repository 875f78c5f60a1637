package manifest

import (
	"slices"

	"github.com/podstead/podstead/pod"
)

// topFields are those that objects of every kind begin with.
func topFields(kind pod.Kind) []Field {
	return of(string(kind),
		supported("kind"),
		supportedNote("apiVersion", kind.APIVersion()),
		supported("metadata"),
	)
}

func workloadFields() []Field {
	return slices.Concat(
		topFields(pod.KindDeployment), of("Deployment", supported("spec"), ignored("status", derived)),
		of("DeploymentSpec",
			supportedNote("replicas", "1 if not set; at most 1,000"),
			supportedNote("selector", "the template's labels must match it"),
			supported("template", "strategy"),
			supportedNote("minReadySeconds", "0 if not set"),
			supportedNote("revisionHistoryLimit", "10 if not set"),
			supported("paused"),
			supportedNote("progressDeadlineSeconds", "600 if not set; longer than minReadySeconds"),
		), of("DeploymentStrategy",
			supportedNote("type", "RollingUpdate if not set, or Recreate"),
			supported("rollingUpdate"),
		), of("RollingUpdateDeployment",
			supportedNote("maxUnavailable", "25% if not set, rounded down"),
			supportedNote("maxSurge", "25% if not set, rounded up"),
		),
		topFields(pod.KindReplicaSet), of("ReplicaSet", supported("spec"), ignored("status", derived)),
		of("ReplicaSetSpec",
			supportedNote("replicas", "1 if not set; at most 1,000"),
			supportedNote("minReadySeconds", "0 if not set"),
			supportedNote("selector", "the template's labels must match it"),
			supported("template"),
		),
		topFields(pod.KindDaemonSet), of("DaemonSet", supported("spec"), ignored("status", derived)),
		of("DaemonSetSpec",
			supportedNote("selector", "the template's labels must match it"),
			supportedNote("template", "one pod on this server, if nodeSelector, affinity and tolerations allow it"),
			supported("updateStrategy"),
			supportedNote("minReadySeconds", "0 if not set"),
			supportedNote("revisionHistoryLimit", "10 if not set"),
		), of("DaemonSetUpdateStrategy",
			supportedNote("type", "RollingUpdate if not set, or OnDelete: `podstead rollout restart` and `undo` replace the pod, a change of the manifest does not"),
			supported("rollingUpdate"),
		), of("RollingUpdateDaemonSet",
			supportedNote("maxUnavailable", "1 if not set; must be 0 beside a maxSurge"),
			supportedNote("maxSurge", "0 if not set"),
		),
		of("LabelSelector", supported("matchLabels", "matchExpressions")),
		of("LabelSelectorRequirement", supported("key", "operator", "values")),
		of("PodTemplateSpec",
			supportedNote("metadata", "labels and annotations; a name has no effect"),
			supportedNote("spec", "as of a Pod, with restartPolicy Always and without activeDeadlineSeconds"),
		),
	)
}
