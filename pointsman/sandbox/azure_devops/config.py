"""Who and what exists in the stand-in before the first request."""

from functools import lru_cache
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import BaseModel, ConfigDict, SecretStr


@lru_cache(maxsize=4_096)
def _derived(name: str) -> UUID:
    """Asked for with each revision of each item."""
    return uuid5(NAMESPACE_URL, name)


class Named(BaseModel):
    model_config = ConfigDict(frozen=True)


class Identity(Named):
    """A person or a service account. Ids are derived from the name, so that they are the same in each run."""

    unique_name: str
    display_name: str

    def __eq__(self, other: object) -> bool:
        """As pydantic says it, in a tenth of the time: each revision is compared with the one before."""
        if not isinstance(other, Identity):
            return NotImplemented
        return self is other or (self.unique_name, self.display_name) == (other.unique_name, other.display_name)

    def __hash__(self) -> int:
        return hash((self.unique_name, self.display_name))

    @property
    def id(self) -> str:
        return str(_derived(f"identity/{self.unique_name}"))

    @property
    def descriptor(self) -> str:
        return f"aad.{_derived(f'descriptor/{self.unique_name}').hex}"

    @property
    def combined(self) -> str:
        """The shape that identities have in old payloads."""
        return f"{self.display_name} <{self.unique_name}>"


class Account(Named):
    """A personal access token, and whose it is."""

    token: SecretStr
    identity: Identity


class Principal(Named):
    """An account of Entra: a service principal, or a machine's or pod's identity, that is a user here.

    `secret` is what proves it: a secret, the assertion of a federation, or the header of a managed identity.
    """

    tenant_id: str
    client_id: str
    secret: SecretStr
    identity: Identity


class Project(Named):
    """`process` names one of the system's processes, or one that was derived from them."""

    name: str
    process: str = "Agile"

    def id_in(self, organisation: str) -> str:
        return str(_derived(f"project/{organisation.lower()}/{self.name.lower()}"))


class Organisation(Named):
    name: str
    projects: tuple[Project, ...]

    @property
    def collection_id(self) -> str:
        return str(_derived(f"collection/{self.name.lower()}"))

    @property
    def account_id(self) -> str:
        return str(_derived(f"account/{self.name.lower()}"))

    def project(self, name_or_id: str) -> Project | None:
        wanted = name_or_id.lower()
        return next((p for p in self.projects if wanted == p.name.lower() or wanted == p.id_in(self.name)), None)


class SandboxConfig(Named):
    """`time_scale` shortens the waits between delivery attempts: at 0.001 an hour takes 3.6 s."""

    organisations: tuple[Organisation, ...]
    accounts: tuple[Account, ...]
    principals: tuple[Principal, ...] = ()
    query_max: int = 20_000
    """Ids that a query may find before it is refused."""
    page_max: int = 1_000
    """Entries of a page, however many are asked for."""
    api_version_max: str = "7.2"
    """Newest version that is known; a server of one's own knows less than the service."""
    people: tuple[Identity, ...] = ()
    """Who can be assigned work beside those with a token."""
    time_scale: float = 1.0
    delivery_timeout_seconds: float = 30.0
    """How long a receiver may take; the service's own limit is not documented."""
    restricted: tuple[str, ...] = ()
    """Unique names of those who may neither bypass rules nor suppress notifications."""
    suppression_silences_hooks: bool = False
    """Whether `suppressNotifications` keeps service hooks quiet too, which nobody has confirmed."""
    large_items: int = 0
    """Begin with about so many items with histories in project `Fabrikam`, which has the CMMI process then."""
    seed_number: int = 1
    """Another number makes other items; the same the same."""
    seeded: bool = False
    """Begin with the demo's items; only organisation `fabrikam` with project `Fabrikam` has some."""

    @property
    def identities(self) -> tuple[Identity, ...]:
        accounts = (account.identity for account in self.accounts)
        return (*accounts, *(principal.identity for principal in self.principals), *self.people)


ADA = Identity(unique_name="ada@fabrikam.example", display_name="Ada Byron")
POINTSMAN = Identity(unique_name="pointsman@fabrikam.example", display_name="Pointsman")
NOOR = Identity(unique_name="noor@fabrikam.example", display_name="Noor Haddad")


def demo_config(person_token: SecretStr, service_token: SecretStr, time_scale: float = 1.0) -> SandboxConfig:
    """The organisation of the demo: a person who files and edits items, and the account that Pointsman writes as."""
    return SandboxConfig(
        organisations=(Organisation(name="fabrikam", projects=(Project(name="Fabrikam"),)),),
        accounts=(Account(token=person_token, identity=ADA), Account(token=service_token, identity=POINTSMAN)),
        people=(NOOR,),
        time_scale=time_scale,
        seeded=True,
    )


LARGE_ITEMS = 20_000
CROWD = tuple(
    Identity(unique_name=f"{name.lower()}@fabrikam.example", display_name=f"{name} {surname}")
    for name, surname in (("Grace", "Hall"), ("Linus", "Ek"), ("Mei", "Tan"), ("Omar", "Said"), ("Rosa", "Diaz"))
)


def large_config(
    person_token: SecretStr, service_token: SecretStr, items: int = LARGE_ITEMS, number: int = 1
) -> SandboxConfig:
    """An organisation with a project of each process; that of `Fabrikam` is CMMI and has a past of so many items."""
    demo = demo_config(person_token, service_token)
    projects = (
        Project(name="Fabrikam", process="CMMI"),
        *(Project(name=f"Fabrikam {process}", process=process) for process in ("Agile", "Scrum", "Basic")),
    )
    return demo.model_copy(
        update={
            "organisations": (Organisation(name="fabrikam", projects=projects),),
            "people": (NOOR, *CROWD),
            "seeded": False,
            "large_items": items,
            "seed_number": number,
        }
    )
