"""The words generated tenants are made of: plain ASCII, nothing COPY would have to escape."""

from __future__ import annotations

__all__ = [
    "CITIES",
    "COMPANY_FIRST",
    "COMPANY_LAST",
    "COMPANY_STATUSES",
    "CONTACT_STATUSES",
    "COUNTRIES",
    "CURRENCIES",
    "DEAL_NAMES",
    "FIRST_NAMES",
    "INDUSTRIES",
    "JOB_TITLES",
    "LAST_NAMES",
    "SOURCES",
    "SUBJECTS",
]

FIRST_NAMES = (
    "Ada", "Amir", "Ana", "Ben", "Bo", "Carla", "Chen", "Dana", "Eli", "Emma", "Femi", "Finn",
    "Gita", "Hana", "Igor", "Ines", "Ivo", "Jana", "Joao", "Kai", "Lea", "Liam", "Lucia", "Mai",
    "Mila", "Noah", "Nora", "Olga", "Omar", "Pia", "Ravi", "Rosa", "Sam", "Sara", "Tariq", "Tess",
    "Uma", "Vera", "Yara", "Zoe",
)  # fmt: skip
LAST_NAMES = (
    "Adler", "Almeida", "Baker", "Bauer", "Costa", "Diaz", "Dupont", "Eze", "Fischer", "Garcia",
    "Haddad", "Hansen", "Ito", "Jansen", "Khan", "Kim", "Kowalski", "Larsen", "Lopez", "Meyer",
    "Moreau", "Nagy", "Novak", "Okafor", "Olsen", "Patel", "Petrov", "Rossi", "Sato", "Schmidt",
    "Silva", "Singh", "Smith", "Tanaka", "Torres", "Vogel", "Weber", "Wong", "Yilmaz", "Zhang",
)  # fmt: skip
COMPANY_FIRST = (
    "Amber", "Apex", "Atlas", "Birch", "Blue", "Bright", "Cedar", "Clear", "Copper", "Delta",
    "Eagle", "East", "Falcon", "Golden", "Granite", "Green", "Harbor", "Iron", "Lake", "Maple",
    "North", "Ocean", "Orchid", "Pine", "Quartz", "River", "Silver", "Solar", "Summit", "West",
)  # fmt: skip
COMPANY_LAST = (
    "Analytics", "Bakery", "Builders", "Capital", "Clinic", "Consulting", "Design", "Energy",
    "Foods", "Freight", "Garden", "Group", "Health", "Hotels", "Labs", "Legal", "Logistics",
    "Media", "Metals", "Mobility", "Networks", "Optics", "Partners", "Print", "Robotics",
    "Software", "Studio", "Systems", "Textiles", "Works",
)  # fmt: skip
COMPANY_STATUSES = ("prospect", "prospect", "customer", "customer", "partner", "former")
CONTACT_STATUSES = ("lead", "lead", "qualified", "customer", "inactive")
CITIES = ("Berlin", "Lagos", "Lima", "Lyon", "Osaka", "Oslo", "Porto", "Pune", "Quito", "Turin")
COUNTRIES = ("DE", "NG", "PE", "FR", "JP", "NO", "PT", "IN", "EC", "IT")
CURRENCIES = ("EUR", "USD", "GBP", "JPY", "CHF")
INDUSTRIES = ("Construction", "Education", "Energy", "Finance", "Health", "Retail", "Software")
JOB_TITLES = ("Accountant", "Buyer", "Director", "Engineer", "Founder", "Manager", "Researcher")
SOURCES = ("website", "referral", "event", "import", "partner")
DEAL_NAMES = ("Annual licence", "Pilot", "Renewal", "Rollout", "Support plan", "Upgrade")
SUBJECTS = ("Call back", "Prepare offer", "Review contract", "Send summary", "Weekly check-in")
