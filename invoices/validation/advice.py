"""What a broken rule means and what to do, in words for an accountant. First match wins.

Our own wording of BR-FR-Flux2 V1.4.0.03 (FNFE, France_RFE), EN 16931-1:2017 and its UBL and CII bindings. `{term}` is
the name of the first business term that the rule is about.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# The extensions EXTENDED-CTC-FR (FREXT) and Factur-X EXTENDED (FXEXT) repeat rules of EN 16931 with a tolerance.
EXTENSION = re.compile(r"^BR-F[RX]EXT-(?:BR-)?")
ENDING = re.compile(r"(?:ini|rev|b)$")


@dataclass(frozen=True)
class Advice:
    problem: str | Promise
    remedy: str | Promise


NOTE = _("Add a note (BG-1) with this subject code and the wording of your terms of sale.")
RECALCULATE = _("Calculate the amount again, rounding at the end to two decimals.")
ONE_OF_BOTH = _("Give a reason in words, a reason code, or both.")
EXISTING_INVOICE = _("Give the number (BT-25) and the date (BT-26) of the invoice that is corrected.")
SELLER_VAT = _("Give the seller's VAT number (BT-31), or the tax representative's (BT-63).")

FRENCH: tuple[tuple[str, Advice], ...] = (
    (r"BR-FR-0[12]_", Advice(
        _("{term}: it is too long or has characters that are not allowed."),
        _("Use at most 35 characters: letters, digits and + - _ /, without spaces."),
    )),
    (r"BR-FR-03", Advice(
        _("{term}: this is not a date between 2000 and 2099."), _("Correct the date."),
    )),
    (r"BR-FR-04", Advice(
        _("This document type is not admitted in France."),
        _("Use 380 for an invoice, 381 for a credit note, or another type of the French list."),
    )),
    (r"BR-FR-05_BT-22[-_](1|PMT)", Advice(_("The legal note on the recovery fee (PMT) is missing."), NOTE)),
    (r"BR-FR-05_BT-22[-_](2|PMD)", Advice(_("The legal note on late payment penalties (PMD) is missing."), NOTE)),
    (r"BR-FR-05", Advice(_("The legal note on early payment discount (AAB) is missing."), NOTE)),
    (r"BR-FR-06", Advice(
        _("A legal note stands there more than once."), _("Keep one note for each of PMT, PMD, AAB and TXD."),
    )),
    (r"BR-FR-08_BT-23", Advice(
        _("The billing frame is missing or unknown."),
        _("Use B, S or M (goods, services, mixed) with its digit: B1, S1 and M1 are ordinary invoices."),
    )),
    (r"BR-FR-09", Advice(
        _("{term}: this SIRET does not have 14 digits or does not begin with the SIREN of the company."),
        _("Correct the SIRET or the SIREN."),
    )),
    (r"BR-FR-10", Advice(
        _("The seller's SIREN is missing or does not have nine digits."),
        _("Give the SIREN (BT-30) with the scheme 0002."),
    )),
    (r"BR-FR-11", Advice(
        _("The buyer's SIREN is missing or does not have nine digits."),
        _("Give the SIREN (BT-47) with the scheme 0002: the note BAR says that this is an invoice between companies."),
    )),
    (r"BR-FR-12", Advice(
        _("The buyer's electronic address is missing."),
        _("Give the buyer's address in the directory (BT-49), with the scheme 0225."),
    )),
    (r"BR-FR-13", Advice(
        _("The seller's electronic address is missing."),
        _("Give the seller's address in the directory (BT-34), with the scheme 0225."),
    )),
    (r"BR-FR-15|BR-FR-08_BT-151", Advice(
        _("{term}: this category is not used in France."), _("Use S, E, AE, K, G, O or Z."),
    )),
    (r"BR-FR-16", Advice(
        _("{term}: this rate does not exist in France."),
        _("Use a rate of the French list, such as 20, 10, 5.5 or 2.1, without a percent sign."),
    )),
    (r"BR-FR-17", Advice(
        _("The kind of an attachment is unknown."),
        _("Describe the attachment (BT-123) by a code of the French list, such as RIB, LISIBLE or BON_LIVRAISON."),
    )),
    (r"BR-FR-18", Advice(
        _("More than one attachment is said to be the readable invoice."), _("Keep one attachment as LISIBLE."),
    )),
    (r"BR-FR-(20|31)", Advice(
        _("The note BAR does not say once what kind of business this is."),
        _("Give one note BAR with B2B, B2BINT, B2C, OUTOFSCOPE or ARCHIVEONLY, or none."),
    )),
    (r"BR-FR-21", Advice(
        _("The buyer's electronic address does not belong to the buyer's SIREN."),
        _("Use an address (BT-49) of scheme 0225 that begins with the SIREN of the buyer."),
    )),
    (r"BR-FR-22", Advice(
        _("The seller's electronic address does not belong to the seller's SIREN."),
        _("Use an address (BT-34) of scheme 0225 that begins with the SIREN of the seller, who receives this invoice."),
    )),
    (r"BR-FR-2[34]", Advice(
        _("{term}: it has characters that are not allowed."), _("Use letters, digits and - _ . only."),
    )),
    (r"BR-FR-2[56]", Advice(_("{term}: it is too long."), _("Shorten it: addresses to 125, identifiers to 100."))),
    (r"BR-FR-2[78]", Advice(
        _("An item attribute is incomplete, or says its value twice."),
        _("Give a name or code, and either a value or a measured value with its unit."),
    )),
    (r"BR-FR-(29|30)", Advice(
        _("{term}: a scheme is used more than once."), _("Keep one identifier for each of AFL and AVV."),
    )),
    (r"BR-FR-32", Advice(
        _("A SIREN or SIRET does not have the right number of digits."),
        _("A SIREN (scheme 0002) has nine digits, a SIRET (scheme 0009) fourteen."),
    )),
    (r"BR-FR-CO-03", Advice(
        _("A global discount credit note (262) lacks its contract or its period."),
        _("Give the contract (BT-12) and the first and last day of the period (BT-73, BT-74)."),
    )),
    (r"BR-FR-CO-04", Advice(_("A corrective invoice must name exactly one earlier invoice."), EXISTING_INVOICE)),
    (r"BR-FR-CO-05", Advice(
        _("A credit note must name the invoice it corrects, for the whole document or on each line."), EXISTING_INVOICE,
    )),
    (r"BR-FR-CO-07", Advice(_("The due date lies before the invoice date."), _("Correct one of the two dates."))),
    (r"BR-FR-CO-08", Advice(
        _("A final invoice after a deposit cannot itself be a deposit."),
        _("Change the billing frame (BT-23) or the document type (BT-3)."),
    )),
    (r"BR-FR-CO-09", Advice(
        _("The billing frame says that the invoice is already paid, and the amounts or dates say otherwise."),
        _("The paid amount equals the total with VAT, nothing remains due, and the due date is the day of payment; "
          "or use another billing frame."),
    )),
    (r"BR-FR-CO-10", Advice(
        _("{term}: an identifier has no scheme, or two have the same one."),
        _("Give each identifier the scheme it comes from, each scheme once."),
    )),
    (r"BR-FR-CO-12", Advice(
        _("The invoice is not in euros, and the VAT is not given in euros."),
        _("Give EUR as the VAT accounting currency (BT-6) and the total VAT in euros (BT-111)."),
    )),
    (r"BR-FR-CO-1[45]", Advice(
        _("The seller belongs to a single taxable person, and the invoice does not say so completely."),
        _("Add the note TXD “MEMBRE_ASSUJETTI_UNIQUE” and the single taxable person as tax representative (BG-11)."),
    )),
    (r"BR-FR-DEC-01", Advice(
        _("{term}: this amount has more than two decimals or too many digits."), _("Round the amount to two decimals."),
    )),
    (r"BR-FR-DEC-02", Advice(
        _("{term}: this quantity has more than four decimals or too many digits."),
        _("Round the quantity to four decimals."),
    )),
    (r"BR-FR-DEC-03", Advice(
        _("{term}: this price is negative or has more than six decimals."),
        _("Give a price that is not negative; a return has a negative quantity."),
    )),
    (r"BR-FR-DEC-04", Advice(
        _("{term}: this rate is negative or has more than two decimals."), _("Correct the rate."),
    )),
    (r"BR-FR-(MV|BD)", Advice(
        _("The parts of an invoice with several sellers do not fit together."),
        _("Check the grouping lines: their sellers, numbers, totals and references."),
    )),
)  # fmt: skip

EUROPEAN: tuple[tuple[str, Advice], ...] = (
    (r"BR-FREXT-0[45]|BR-FXEXT-04", Advice(
        _("{term}: this code is not in the list."), _("Use a code of the list that the rule names."),
    )),
    (r"BR-F[RX]EXT-(06|08|11|12)", Advice(
        _("Grouping lines and their sub-lines do not fit together."),
        _("Check the parent, the subtype and the net amount of each line."),
    )),
    (r"BR-FXEXT-0[123]", Advice(
        _("{term}: it is incomplete or not allowed here."), _("Correct it as the rule's own words say."),
    )),
    (r"BR-27|BR-28", Advice(
        _("{term}: a price cannot be negative."), _("Give the price as positive and the quantity as negative."),
    )),
    (r"BR-29|BR-30", Advice(_("A period ends before it begins."), _("Correct one of the two dates."))),
    (r"BR-51", Advice(
        _("The invoice shows a whole card number."), _("Give the last four to six digits only."),
    )),
    (r"BR-6[2345]", Advice(
        _("{term}: the scheme it comes from is missing."), _("Give the scheme, such as 0002 (SIREN) or 0225."),
    )),
    (r"BR-61", Advice(_("A credit transfer lacks the account to pay to."), _("Give the IBAN (BT-84)."))),
    (r"BR-53", Advice(
        _("The total VAT in the accounting currency is missing."),
        _("Give it (BT-111), or leave out the accounting currency (BT-6)."),
    )),
    (r"BR-CO-03", Advice(
        _("The VAT point is given both as a date and as a code."), _("Keep one of BT-7 and BT-8."),
    )),
    (r"BR-CO-0[5678]", Advice(
        _("The reason of an allowance or charge and its code contradict each other."), _("Correct one of the two."),
    )),
    (r"BR-CO-09", Advice(
        _("A VAT number does not begin with the code of its country."), _("Write it in full, such as FR13800112237."),
    )),
    (r"BR-CO-10", Advice(_("The sum of the lines is wrong."), RECALCULATE)),
    (r"BR-CO-11", Advice(_("The sum of the allowances is wrong."), RECALCULATE)),
    (r"BR-CO-12", Advice(_("The sum of the charges is wrong."), RECALCULATE)),
    (r"BR-CO-13", Advice(
        _("The total without VAT is not the lines less the allowances plus the charges."), RECALCULATE,
    )),
    (r"BR-CO-14", Advice(_("The total VAT is not the sum of the VAT breakdown."), RECALCULATE)),
    (r"BR-CO-15", Advice(_("The total with VAT is not the total without VAT plus the VAT."), RECALCULATE)),
    (r"BR-CO-16", Advice(
        _("The amount due is not the total with VAT less what is paid, plus the rounding."), RECALCULATE,
    )),
    (r"BR-CO-17|BR-(S|AF|AG)-09", Advice(
        _("The VAT of a rate is not its base times the rate."), _("Correct the rate, the base or the amount of VAT."),
    )),
    (r"BR-CO-18", Advice(_("The VAT breakdown is missing."), _("Give one row for each category and rate (BG-23)."))),
    (r"BR-CO-19|BR-CO-20", Advice(
        _("A period has neither a first nor a last day."), _("Give one of them, or leave out the period."),
    )),
    (r"BR-CO-2[1234]|BR-33|BR-38|BR-42|BR-44", Advice(
        _("An allowance or a charge says no reason."), ONE_OF_BOTH,
    )),
    (r"BR-CO-25", Advice(
        _("Something is due, and the invoice does not say when."),
        _("Give the due date (BT-9) or the payment terms (BT-20)."),
    )),
    (r"BR-CO-26", Advice(
        _("The seller cannot be identified."), _("Give the SIREN (BT-30), an identifier (BT-29) or the VAT number."),
    )),
    (r"BR-CO-04", Advice(_("A line has no VAT category."), _("Give the category of each line (BT-151)."))),
    (r"BR-\d\d", Advice(_("{term}: missing."), _("Fill it in: every invoice must have it where the rule applies."))),
    (r"BR-O-02|BR-O-03|BR-O-04", Advice(
        _("The invoice is outside the scope of VAT and still shows a VAT number."),
        _("Leave out the VAT numbers (BT-31, BT-48, BT-63), or use another VAT category."),
    )),
    (r"BR-O-1[1234]", Advice(
        _("What is outside the scope of VAT stands beside other VAT categories."),
        _("Make two invoices, or use one category."),
    )),
    (r"BR-IC-11", Advice(
        _("An intra-Community supply lacks its delivery date."), _("Give the date (BT-72) or the period (BG-14)."),
    )),
    (r"BR-IC-12", Advice(
        _("An intra-Community supply lacks the country it went to."), _("Give the country (BT-80)."),
    )),
    (r"BR-(AE|IC)-0[234]", Advice(
        _("For this VAT category both parties must be identified for VAT."),
        _("Give the VAT number of the seller (BT-31 or BT-63) and of the buyer (BT-48)."),
    )),
    (r"BR-[A-Z]+-01", Advice(
        _("A VAT category of the lines is missing in the VAT breakdown, or stands there twice."),
        _("Give one row in the breakdown (BG-23) for each category and rate that is used."),
    )),
    (r"BR-[A-Z]+-0[234]", Advice(_("The seller is not identified for VAT."), SELLER_VAT)),
    (r"BR-(S|AF|AG)-0[567]", Advice(
        _("{term}: the rate does not fit the category."), _("Give the rate; for category S it is above zero."),
    )),
    (r"BR-O-0[567]", Advice(
        _("{term}: what is outside the scope of VAT has no rate."), _("Leave out the rate."),
    )),
    (r"BR-[A-Z]+-0[567]", Advice(
        _("{term}: the rate does not fit the category."), _("For this category the rate is 0."),
    )),
    (r"BR-[A-Z]+-08", Advice(
        _("The base of a VAT category is not the sum of its lines, charges and allowances."), RECALCULATE,
    )),
    (r"BR-[A-Z]+-09", Advice(
        _("This VAT category has no VAT, and an amount of VAT is given."), _("The VAT of this category is 0."),
    )),
    (r"BR-(S|Z|AF|AG)-10", Advice(
        _("A reason for exemption is given where VAT applies."), _("Leave out the reason (BT-120, BT-121)."),
    )),
    (r"BR-[A-Z]+-10", Advice(
        _("The reason why no VAT is charged is missing."), _("Give the reason (BT-120) or its code (BT-121)."),
    )),
    (r"BR-B-", Advice(_("Split payment exists in Italy only."), _("Use another VAT category."))),
    (r".*-CL-", Advice(
        _("{term}: this code is not in the official list."), _("Use a code of the list that the rule names."),
    )),
    (r"BR-DEC", Advice(_("{term}: more than two decimals."), _("Round the amount to two decimals."))),
    (r"(UBL|CII)-(FREXT-|EXT-)?(SR|DT|CR)|CII-FREXTDT", Advice(
        _("The file has data that EN 16931 does not foresee, or more often than it does."),
        _("Nothing to do for a warning: a recipient may ignore such data."),
    )),
    (r"FX-SCH", Advice(
        _("The file does not keep to its Factur-X profile: {term}."),
        _("Correct what the rule's own words name, or announce a richer profile (BT-24)."),
    )),
    (r"PEPPOL-EN16931-R008", Advice(_("The file has an empty element."), _("Leave out what has no value."))),
)  # fmt: skip

# By the kind of schema error, as libxml2 names it.
SCHEMA: tuple[tuple[str, Advice], ...] = (
    (r"SCHEMAV_ELEMENT_CONTENT", Advice(
        _("An element is unknown, misplaced or repeated, or one before it is missing."),
        _("The order of the elements is fixed: the software that made the file must be corrected."),
    )),
    (r"SCHEMAV_CVC_COMPLEX_TYPE_4", Advice(
        _("An attribute is missing."), _("The software that made the file must be corrected."),
    )),
    (r"SCHEMAV_CVC_COMPLEX_TYPE_3", Advice(
        _("An attribute is not allowed."), _("The software that made the file must be corrected."),
    )),
    (r"SCHEMAV_CVC", Advice(
        _("A value does not have the form that is prescribed, such as 2026-10-04 for a date or 12.50 for an amount."),
        _("Correct the value."),
    )),
    (r"", Advice(
        _("The file is not built as its format prescribes."), _("The software that made the file must be corrected."),
    )),
)  # fmt: skip

OTHER = Advice(_("A rule of the format is not met."), _("Read the rule's own words, and correct what they name."))


@cache
def advice_for(rule: str, test: str = "") -> Advice:
    if rule == "XSD":
        return _first(SCHEMA, test) or OTHER
    general = ENDING.sub("", EXTENSION.sub("BR-", rule))
    return _first(FRENCH, rule) or _first(EUROPEAN, rule) or _first(EUROPEAN, general) or OTHER


def _first(table: tuple[tuple[str, Advice], ...], text: str) -> Advice | None:
    return next((advice for pattern, advice in table if re.match(pattern, text)), None)
