package manifest

import "slices"

const (
	appArmor   = "on a server without AppArmor, or without that profile, the container is not started"
	noConfig   = "there is no API server to read it from; use value, or a file by hostPath"
	noDynamics = "dynamic resources need drivers that podstead has not; mount devices by hostPath"
)

func containerFields() []Field {
	return of("Container",
		supported("name", "image", "command", "args", "workingDir", "ports"),
		refusedReference("envFrom", noConfig),
		supported("env", "resources", "resizePolicy"),
		supportedNote("restartPolicy", "Always makes a sidecar of an init container"),
		refused("restartPolicyRules", laterOn+"; use restartPolicy"),
		supported("volumeMounts"),
		refused("volumeDevices", "block volumes need persistent volume claims; mount the device by hostPath"),
		supported("livenessProbe", "readinessProbe", "startupProbe", "lifecycle",
			"terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy",
			"securityContext", "stdin"),
		ignored("stdinOnce", "nobody attaches to a container's input", "false"),
		supported("tty"),
	)
}

func containerPartFields() []Field {
	return slices.Concat(of("ContainerPort",
		supported("name"),
		supportedNote("hostPort", "TCP and UDP; with hostNetwork equal to containerPort"),
		supportedNote("containerPort", "for people and names: a port is open when the program listens"),
		supported("protocol"),
		supportedNote("hostIP", "with hostNetwork it only says which port is taken: the program itself listens"),
	), of("EnvVar",
		supported("name"),
		supportedNote("value", "$(NAME) refers to variables above it, $$ is a dollar"),
		supported("valueFrom"),
	), of("EnvVarSource",
		supported("fieldRef", "resourceFieldRef"),
		refusedReference("configMapKeyRef", noConfig),
		refusedReference("secretKeyRef", noConfig),
		refused("fileKeyRef", laterOn),
	), of("ObjectFieldSelector",
		supported("apiVersion", "fieldPath"),
	), of("ResourceFieldSelector",
		supported("containerName", "resource", "divisor"),
	), of("ResourceRequirements",
		supported("limits", "requests"),
		refused("claims", noDynamics),
	), of("ContainerResizePolicy",
		refused("resourceName", "other resources don't change in place", "cpu", "memory"),
		refused("restartPolicy", "there is no such policy", "NotRequired", "RestartContainer"),
	), of("VolumeMount",
		supported("name", "readOnly", "recursiveReadOnly", "mountPath", "subPath", "mountPropagation", "subPathExpr"),
		refused("bindMountOptions", laterOn),
	))
}

func containerSecurityFields() []Field {
	return slices.Concat(of("SecurityContext",
		supported("capabilities", "privileged"),
		refused("seLinuxOptions", "SELinux labels are not supported", "{}"),
		refused("windowsOptions", "podstead runs on Linux", "{}"),
		supported("runAsUser", "runAsGroup", "runAsNonRoot", "readOnlyRootFilesystem",
			"allowPrivilegeEscalation", "procMount"),
		supportedNote("seccompProfile", "RuntimeDefault if none is set and the container is not privileged"),
		supportedNote("appArmorProfile", appArmor),
	), of("Capabilities",
		supported("add", "drop"),
	), of("SeccompProfile",
		supported("type", "localhostProfile"),
	), of("AppArmorProfile",
		refused("type", "there is no such type", "RuntimeDefault", "Unconfined", "Localhost"),
		supported("localhostProfile"),
	))
}
