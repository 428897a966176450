"""What people get wrong in `policy.yaml`, and what they are told."""

from pointsman.policies.document import NODES_MAX

AGENT = "{name: helper, model: m-1, prompt: triage}"
LADDER = "{severity: low, rungs: [{notify: [a], wait: 1d}]}"
AGENTS = f"agents: [{AGENT}]\nroutes: []\n"

# What a user may get wrong: the file, and the error without the file's name.
WRONG = {
    "unknown key": ("version: '1'\nruotes: []\n", "2: ruotes: []: unknown key; allowed: version, tenants, scope,"),
    "unknown key within": (
        "scope:\n  - name: all\n    match:\n      colours: [red]\n",
        "4: scope.0.match.colours: [red]: unknown key; allowed: organisations, projects, area_paths, types, tags,",
    ),
    "list for text": ("version: [1]\n", "1: version: [1]: must be text"),
    "text for list": ("scope: all\n", "1: scope: all: must be a list"),
    "text for mapping": ("scope:\n- all\n", "2: scope.0: all: must be a mapping"),
    "number for text": ("version: 1.0\n", "1: version: 1.0: must be text: put it into quotation marks"),
    "truth value for text": (
        "scope: [{name: a, match: {tags: [no]}}]\n",
        "1: scope.0.match.tags.0: false: must be text: put it into quotation marks",
    ),
    "preferred provider that does not exist": (
        "models:\n  prefer: [anthropik]\n",
        "2: models.prefer.0: anthropik: must be one of: openai, anthropic, gemini, mistral, bedrock, azure_openai",
    ),
    "key in place of its name": (
        "models: {keys: [{provider: openai, tenant: alpha, key: sk-1}]}\n",
        "1: models.keys.0.key: (not shown): must be the name of a variable that holds the key",
    ),
    "server by the name of a provider": (
        "models: {servers: [{name: openai, base_url: 'http://h', models: [{name: m, window: 9, output_max: 9}]}]}\n",
        "1: models.servers.0.name: openai: is the name of another provider",
    ),
    "strategy for tags that is never asked": (
        "sync: {kinds: {tags: remote_wins}}\n",
        "1: sync.kinds.tags: remote_wins: must be union: tags and links are only added to",
    ),
    "union of what is no list": (
        "sync: {fields: {System.Title: union}}\n",
        "1: sync.fields.System.Title: union: is of tags and links alone",
    ),
    "event that does not exist": (
        "hooks: {subscriptions: [{name: a, events: [workitem.imagined]}]}\n",
        "1: hooks.subscriptions.0.events.0: workitem.imagined: must be one of: workitem.created, workitem.updated,",
    ),
    "filter that an event has not": (
        "hooks: {subscriptions: [{name: a, events: [git.repo.created], filters: {branch: main}}]}\n",
        "1: hooks.subscriptions.0.filters.branch: branch: git.repo.created can be filtered by: (nothing but projects)",
    ),
    "subscriptions of one name": (
        "hooks: {subscriptions: [{name: a, events: [git.push]}, {name: a, events: [tfvc.checkin]}]}\n",
        "1: hooks.subscriptions.1.name: a: is given twice",
    ),
    "null": ("routes:\n", "1: routes: null: must be a list"),
    "text for number": (
        f"agents:\n- {AGENT[:-1]}, max_output_tokens: many}}\n",
        "2: agents.0.max_output_tokens: many: must be a whole number",
    ),
    "no number at all": (
        f"agents:\n- {AGENT[:-1]}, temperature: .nan}}\n",
        "2: agents.0.temperature: '.nan': must be a number or must be empty",
    ),
    "number out of range": (
        f"agents:\n- {AGENT[:-1]}, temperature: 3}}\n",
        "2: agents.0.temperature: 3: 3 is greater than the maximum of 2 or must be empty",
    ),
    "limit out of range": (
        f"agents:\n- {AGENT[:-1]}, limits: {{steps: 0}}}}\n",
        "2: agents.0.limits.steps: 0: 0 is less than the minimum of 1",
    ),
    "cost of nothing": (
        f"agents:\n- {AGENT[:-1]}, limits: {{cost_usd: '0.00'}}}}\nroutes: []\n",
        "2: agents.0.limits.cost_usd: '0.00': Input should be greater than 0",
    ),
    "money as number": (
        f"agents:\n- {AGENT[:-1]}, limits: {{cost_usd: 1.5}}}}\n",
        "2: agents.0.limits.cost_usd: 1.5: must be text: put it into quotation marks",
    ),
    "money as words": (
        f"agents:\n- {AGENT[:-1]}, limits: {{cost_usd: much}}}}\n",
        "2: agents.0.limits.cost_usd: much: must be US dollars in quotation marks",
    ),
    "date for duration": (
        "ladders:\n- severity: low\n  rungs:\n  - notify: [team]\n    wait: 2026-03-01\n",
        "5: ladders.0.rungs.0.wait: '2026-03-01': must be for example 30s, 5m, 4h or 2d",
    ),
    "no wait": (
        "ladders: [{severity: low, rungs: [{notify: [team], wait: 0s}]}]\n",
        "1: ladders.0.rungs.0.wait: 0s: must be for example 30s",
    ),
    "endless wait": (
        "ladders: [{severity: low, rungs: [{notify: [a], wait: 999999999999d}]}]\n",
        "must be for example",
    ),
    "unknown severity": (
        "ladders: [{severity: urgent, rungs: [{notify: [team], wait: 1d}]}]\n",
        "1: ladders.0.severity: urgent: must be one of: low, medium, high, critical",
    ),
    "ladder without rungs": ("ladders: [{severity: low, rungs: []}]\n", "1: ladders.0.rungs: []: must not be empty"),
    "ladder to the sky": (
        f"ladders: [{{severity: low, rungs: [{', '.join(['{notify: [a], wait: 1d}'] * 21)}]}}]\n",
        "must have at most 20 entries",
    ),
    "missing key": ("routes:\n- name: bugs\n", "2: routes.0: {name: bugs}: 'agent' is a required property"),
    "empty name": ("routes: [{name: '', agent: triage}]\n", "1: routes.0.name: '': must not be empty"),
    "blank phrase": ("scope: [{name: a, match: {text: [' ']}}]\n", "must be text that is not blank"),
    "name that is none": (
        "agents: [{name: Big Helper, model: m, prompt: triage}]\n",
        "1: agents.0.name: Big Helper: must be at most 63 lower-case letters, digits and hyphens",
    ),
    "agent with neither model nor service": (
        "agents: [{name: a, prompt: triage}]\n",
        "1: agents.0: {name: a, prompt: triage}: 'model' is a required property or 'service' is a required property",
    ),
    "agent with both model and service": (
        "routes: []\nagents: [{name: a, model: m, prompt: triage, service: {url: 'https://h'}}]\n",
        "2: agents.0: a: is a service, which works without our model and prompt",
    ),
    "service in the clear": (
        "routes: []\nagents: [{name: a, service: {url: 'http://agents.example'}}]\n",
        "2: agents.0.service.url: http://agents.example: must be https://, but for this machine itself",
    ),
    "keys of a card in the clear": (
        "routes: []\nagents: [{name: a, service: {url: 'https://h', signed_by: 'http://keys.example/all'}}]\n",
        "2: agents.0.service.signed_by: http://keys.example/all: must be https://, but for this machine itself",
    ),
    "keys of a card outside": (
        "agents: [{name: a, service: {url: 'https://h', signed_by: ../keys.json}}]\n",
        "1: agents.0.service.signed_by: ../keys.json: must be https://HOST/PATH of a JSON Web Key Set, or its file",
    ),
    "keys of a card that are not there": (
        "routes: []\nagents: [{name: a, service: {url: 'https://h', signed_by: keys.json}}]\n",
        "2: agents.0.service.signed_by: keys.json: ",
    ),
    "credential of a service in place of its name": (
        "agents: [{name: a, service: {url: 'https://h', key: sk-1}}]\n",
        "1: agents.0.service.key: (not shown): must be the name of a variable that holds the key",
    ),
    "credential of a service in its address": (
        "agents: [{name: a, service: {url: 'https://me:sk-1@h'}}]\n",
        "1: agents.0.service.url: (not shown): must be https://HOST/PATH without user, password or question mark",
    ),
    "credential of a service under another key": (
        "agents: [{name: a, service: {url: 'https://h', token: sk-1}}]\n",
        "1: agents.0.service.token: (not shown): unknown key; allowed: url, key, key_header, hosts, skills, signed_by,",
    ),
    "name with a line break": ('agents: [{name: "helper\\n", model: m, prompt: triage}]\n', "1: agents.0.name: "),
    "prompt outside": (
        "agents: [{name: a, model: m, prompt: ../secrets}]\n",
        "1: agents.0.prompt: ../secrets: must be",
    ),
    "field that is none": (f"agents: [{AGENT[:-1]}, may_change: [Priority]}}]\n", "must be a reference name such as"),
    "unknown agent": (
        "routes:\n- name: bugs\n  agent: nobody\n",
        "3: routes.0.agent: nobody: must be one of: triage, closer, refiner",
    ),
    "unknown tool server": (
        "routes: []\nagents:\n- name: a\n  model: m\n  prompt: triage\n  tools: [work-items/*,\n    browser/open]\n",
        "7: agents.0.tools.1: browser/open: must name a tool server of: work-items",
    ),
    "no tool server at all": (
        f"tool_servers: []\nroutes: []\nagents: [{AGENT[:-1]}, tools: [web/open]}}]\n",
        "3: agents.0.tools.0: web/open: must name a tool server of: (none)",
    ),
    "tool that is none": (f"agents: [{AGENT[:-1]}, tools: [open]}}]\n", "must be `server/tool`, or `server/*`"),
    "tool server without address": (
        "tool_servers:\n- name: web\n",
        "2: tool_servers.0: web: needs either command or url",
    ),
    "tool server with two addresses": (
        "tool_servers: [{name: web, command: [x], url: 'https://x'}]\n",
        "1: tool_servers.0: web: needs either command or url",
    ),
    "tool server elsewhere": ("tool_servers: [{name: web, url: 'file:///x'}]\n", "must be http:// or https://"),
    "approval of what may not change": (
        f"routes: []\nagents:\n- {AGENT[:-1]}, may_change: [System.State], needs_approval: [system.state]}}\n",
        "3: agents.0.needs_approval.0: system.state: must be a field of may_change: System.State",
    ),
    "prompt without a file": (
        "routes: []\nagents:\n- {name: a, model: m, prompt: absent}\n",
        "3: agents.0.prompt: absent: no such file; looked for ",
    ),
    "agent twice": (f"routes: []\nagents:\n- {AGENT}\n- {AGENT}\n", "4: agents.1.name: helper: is given twice"),
    "route twice": (
        "routes:\n- {name: a, agent: triage}\n- {name: b, agent: triage}\n- {name: a, agent: closer}\n",
        "4: routes.2.name: a: is given twice",
    ),
    "scope rule twice": ("scope: [{name: a}, {name: a}]\n", "1: scope.1.name: a: is given twice"),
    "tool server twice": (
        "tool_servers: [{name: a, command: [x]}, {name: a, command: [y]}]\n",
        "1: tool_servers.1.name: a: is given twice",
    ),
    "ladder twice": (
        f"ladders:\n- {LADDER}\n- {LADDER}\n",
        "3: ladders.1.severity: low: is given twice",
    ),
    "tenant twice": (
        "tenants: [{name: a, organisations: [x]}, {name: a, organisations: [y]}]\n",
        "1: tenants.1.name: a: is given twice",
    ),
    "organisation of two tenants": (
        "tenants:\n- {name: a, organisations: [Harbour]}\n- {name: b, organisations: [dock, harbour]}\n",
        "3: tenants.1.organisations.1: harbour: belongs to tenant a already",
    ),
    "key twice": ("scope: []\nversion: '1'\nscope: []\n", "3: scope: is given twice, first in line 1"),
    "not YAML": ("version: '1'\nroutes: [\n", "3: is not YAML: while parsing a flow node"),
    "tab": ("scope:\n\t- name: a\n", "2: is not YAML: "),
    "unknown tag": ("version: !!int x\n", "1: version: x: is no tag:yaml.org,2002:int"),
    "wrong truth value": ("version: !!bool x\n", "1: version: x: is no tag:yaml.org,2002:bool"),
    "not a mapping": ("- version\n", "1: (file): must be a mapping of keys such as version, routes, agents"),
    "empty": ("# nothing yet\n", "1: (file): must be a mapping"),
    "two documents": ("version: '1'\n---\nversion: '2'\n", "2: is not YAML: expected a single document"),
    "key that is no text": ("? [a, b]\n: c\n", "1: (file): null: a key must be text"),
    "key that is a date": ("2026-03-01: x\n", "1: 2026-03-01: x: unknown key"),
    "key that is a truth value": ("scope: []\non: x\n", "2: on: x: unknown key"),
    "merge key": ("x: &x {a: 1}\n", "1: x: {a: 1}: unknown key"),
    "itself within": ("version: &a [*a]\n", "1: version.0: null: refers to itself"),
    "nested without end": ("version: " + "[" * 1_000, "1: is nested too deeply"),
    "aliases without end": (
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{after}: &{after} [{', '.join([f'*{name}'] * 10)}]\n"
            for name, after in zip("abcde", "bcdef", strict=True)
        ),
        f"more than {NODES_MAX} values",
    ),
}
