package manifest

import (
	"slices"

	"github.com/podstead/podstead/pod"
)

const (
	noScheduler = "there is no scheduler: nodeName, nodeSelector, affinity and tolerations alone decide whether a pod runs here"
	derived     = "podstead says what it is"
	laterOn     = "not supported by this version yet"
	ourLabels   = "compared with the labels that the configuration gives this server: where they don't match, nothing runs"
)

func podFields() []Field {
	return slices.Concat(topFields(pod.KindPod), of("Pod",
		supported("spec"),
		ignored("status", derived),
	))
}

func metadataFields() []Field {
	return of("ObjectMeta",
		supported("name"),
		ignored("generateName", "podstead makes no names; set metadata.name", ""),
		supportedNote("namespace", "default if not set; there is no Namespace object to make first"),
		ignored("selfLink", derived, ""),
		ignored("uid", "derived from the server, the namespace, the name and the instance", ""),
		ignored("resourceVersion", derived, ""),
		ignored("generation", derived),
		ignored("creationTimestamp", derived),
		ignored("deletionTimestamp", "an object is deleted by removing its manifest"),
		ignored("deletionGracePeriodSeconds", "terminationGracePeriodSeconds of the pods is used"),
		supported("labels", "annotations"),
		ignored("ownerReferences", "there are no owners; the manifest alone says that the object is wanted"),
		ignored("finalizers", "nothing would remove them; an object goes when its manifest goes"),
		ignored("managedFields", "nothing but the manifest changes an object"),
	)
}

func specFields() []Field {
	return slices.Concat(of("PodSpec",
		supported("volumes"),
		supportedNote("initContainers", "with restartPolicy: Always they are sidecars"),
		supported("containers"),
		refused("ephemeralContainers", "they can't be in a manifest; use podstead exec"),
		supported("restartPolicy", "terminationGracePeriodSeconds", "activeDeadlineSeconds"),
		supportedNote("dnsPolicy", "there is no cluster DNS, so all but None are Default: the server's name servers"),
		supportedNote("nodeSelector", ourLabels),
		refusedReference("serviceAccountName", "there are no service accounts, since there is no API server to use them with",
			"default", ""),
		refusedReference("serviceAccount", "there are no service accounts, since there is no API server to use them with",
			"default", ""),
		ignored("automountServiceAccountToken", "there are no service accounts, so no token is mounted", "false"),
		supportedNote("nodeName", "what names another server than this one (nodeName in the configuration) does not run here"),
		supported("hostNetwork"),
		supported("hostPID", "hostIPC", "shareProcessNamespace", "securityContext"),
		ignored("imagePullSecrets", "there are no Secrets; credentials of registries belong to podstead's configuration"),
		supported("hostname"),
		supportedNote("subdomain", "the domain is SUBDOMAIN.NAMESPACE.svc.cluster.local"),
		supported("affinity"),
		ignored("schedulerName", noScheduler, "default-scheduler", ""),
		supportedNote("tolerations", "they allow what the server's taints forbid"),
		supported("hostAliases"),
		ignoredBut("priorityClassName", "there are no PriorityClasses, and no pod gives way to another yet; "+
			"pods of system-node-critical and system-cluster-critical are stopped last when the server shuts down",
			[]string{"system-node-critical", "system-cluster-critical"}, ""),
		ignoredBut("priority", "no pod gives way to another yet; pods of 2000000000 and 2000001000, as those of the two critical classes, "+
			"are stopped last when the server shuts down", []string{"2000000000", "2000001000"}, "0"),
		supported("dnsConfig"),
		refused("readinessGates", "nothing but podstead sets conditions, so the pod would never be ready"),
		refused("runtimeClassName", "there are no RuntimeClasses: every pod runs by the one configured runtime", ""),
		ignored("enableServiceLinks", "addresses of Services are not put into the environment; use their names", "false"),
		ignored("preemptionPolicy", noScheduler, "PreemptLowerPriority", "Never"),
		ignored("overhead", "it belongs to a RuntimeClass, and there are none"),
		ignored("topologySpreadConstraints", noScheduler),
		supportedNote("setHostnameAsFQDN", "a name of more than 64 characters keeps the pod from starting"),
		supported("os"),
		refused("hostUsers", "user namespaces are not supported; leave it out, or set runAsNonRoot and drop capabilities", "true"),
		refused("schedulingGates", "nothing would lift them; leave the manifest out until the pod may start"),
		refused("resourceClaims", "dynamic resources need drivers that podstead has not; mount devices by hostPath"),
		refused("resources", "limits for the whole pod are "+laterOn+"; set resources on the containers", "{}"),
		supported("hostnameOverride"),
		ignored("schedulingGroup", noScheduler),
		ignored("evictionResponders", "nobody evicts pods through an API"),
	), of("PodOS",
		refused("name", "podstead runs on Linux", "linux"),
	), of("HostAlias",
		supported("ip", "hostnames"),
	), of("PodDNSConfig",
		supported("nameservers", "searches", "options"),
	), of("PodDNSConfigOption",
		supported("name", "value"),
	))
}

func placementFields() []Field {
	const together = "all pods are on this one server"
	return slices.Concat(of("Affinity",
		supported("nodeAffinity"),
		ignored("podAffinity", together),
		ignored("podAntiAffinity", together),
	), of("NodeAffinity",
		supportedNote("requiredDuringSchedulingIgnoredDuringExecution", ourLabels),
		ignored("preferredDuringSchedulingIgnoredDuringExecution", "there is no other server to prefer"),
	), of("NodeSelector",
		supported("nodeSelectorTerms"),
	), of("NodeSelectorTerm",
		supported("matchExpressions"),
		supportedNote("matchFields", "metadata.name"),
	), of("NodeSelectorRequirement",
		supported("key", "operator", "values"),
	), of("Toleration",
		supportedNote("key", "all keys if not set"),
		supportedNote("operator", "Equal if not set, or Exists"),
		supported("value", "effect"),
		supportedNote("tolerationSeconds", "for the effect NoExecute"),
	))
}

func podSecurityFields() []Field {
	return slices.Concat(of("PodSecurityContext",
		refused("seLinuxOptions", "SELinux labels are not supported", "{}"),
		refused("windowsOptions", "podstead runs on Linux", "{}"),
		supported("runAsUser", "runAsGroup", "runAsNonRoot", "supplementalGroups", "supplementalGroupsPolicy", "fsGroup"),
		supportedNote("sysctls", "those that Kubernetes calls safe"),
		supportedNote("fsGroupChangePolicy", "it has no effect on emptyDir and hostPath, as in Kubernetes"),
		supported("seccompProfile"),
		supportedNote("appArmorProfile", appArmor),
		ignored("seLinuxChangePolicy", "SELinux labels are not supported", ""),
	), of("Sysctl",
		supported("name", "value"),
	))
}
