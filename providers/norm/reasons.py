"""The official reasons of statuses (MDT-113). A leaf: read them through `codes`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise as Words


@dataclass(frozen=True)
class ReasonInfo:
    """MDT-113. `closed_list` False: seen on the administration's side, fatal in a message of ours, kept when read."""

    code: str
    label_fr: str
    label_en: str
    help: Words
    statuses: frozenset[str]
    b2g_210: bool = False
    closed_list: bool = True


def _reason(code: str, label_fr: str, label_en: str, statuses: str, help_text: Words = "", **rest: Any) -> ReasonInfo:
    return ReasonInfo(code, label_fr, label_en, help_text, frozenset(statuses.split()), **rest)


_B2G: dict[str, Any] = {"b2g_210": True}
_FOREIGN: dict[str, Any] = {"closed_list": False}
_CHORUS: dict[str, Any] = {"b2g_210": True, "closed_list": False}

# Closed lists per status: rule BR-FR-CDV-CL-09, which is fatal. `b2g_210`: a refusal by the public platform may use it.
# For 251, 301, 401 and 601 the lists are DGFiP's (external specifications 3.2, annex 7).
# fmt: off
_REASON_ROWS = (
    _reason("NON_CONFORME", "Mention légale manquante", "Legal information missing", "207 210",
            _("A statement the law asks for is not on the invoice."), **_B2G),
    _reason("DEST_ERR", "Erreur de destinataire", "Wrong recipient", "207 210",
            _("The invoice names the wrong company, for example another one of the group."), **_B2G),
    _reason("ADR_ERR", "Adresse de facturation électronique erronée", "E-invoicing address wrong", "207 210 213",
            _("The electronic address of the invoiced party is absent or not the right one."), **_B2G),
    _reason("TRANSAC_INC", "Transaction inconnue", "Unknown transaction", "207 210",
            _("We find no purchase that this invoice belongs to."), **_B2G),
    _reason("CMD_ERR", "N° de commande incorrect ou manquant", "Order number wrong or missing", "206 207 208 210",
            _("Grounds for a refusal only where the seller had the order number beforehand."), **_B2G),
    _reason("REF_CT_ABSENT", "Référence contractuelle manquante", "Contractual reference missing", "206 207 208 210",
            _("The contract asks for a reference that the invoice does not give."), **_B2G),
    _reason("TX_TVA_ERR", "Taux de TVA erroné", "VAT rate wrong", "207 210",
            _("The VAT of a line or of the summary is not at the right rate."), **_B2G),
    _reason("MONTANTTOTAL_ERR", "Montant total erroné", "Total wrong", "207 210 213",
            _("A total of the invoice is not right."), **_B2G),
    _reason("CALCUL_ERR", "Erreur de calcul", "Calculation error", "207 210 213",
            _("The figures do not add up, beyond what rounding explains."), **_B2G),
    _reason("DOUBLON", "Facture en doublon", "Duplicate invoice", "207 210 213",
            _("We already have an invoice of this seller with this number and year."), **_B2G),
    # DGFiP's annex 7 uses this code for doubled flow 1 data; between companies it means what the label says.
    _reason("DOUBLE_FACT", "Déjà facturé sur une autre facture", "Double invoicing", "207 210",
            _("The same supply is on another invoice."), **_B2G),
    _reason("CONTRAT_TERM", "Contrat terminé", "Contract ended", "207 210",
            _("The contract is over and allows no further invoice."), **_B2G),
    _reason("EMMET_INC", "Émetteur inconnu", "Unknown issuer", "207 210",
            _("We do not know this seller."), **_B2G),
    _reason("SIRET_ERR", "SIRET erroné ou absent", "SIRET wrong or missing", "206 207 208",
            _("We need our establishment's SIRET and it is absent or wrong.")),
    _reason("CODE_ROUTAGE_ERR", "Code routage absent ou erroné", "Routing code wrong or missing", "206 207 208",
            _("We need our routing code and it is absent or wrong.")),
    _reason("REF_ERR", "Référence incorrecte", "Reference wrong", "206 207 208",
            _("A reference is wrong; say which one in the text.")),
    _reason("QTE_ERR", "Quantité facturée incorrecte", "Quantity wrong", "206 207",
            _("The quantity invoiced is not the quantity delivered.")),
    _reason("ART_ERR", "Article facturé incorrect", "Item wrong", "206 207",
            _("The item invoiced is not the item ordered or delivered.")),
    _reason("QUALITE_ERR", "Qualité d'article livré incorrecte", "Item quality insufficient", "206 207",
            _("Something that was delivered has a fault.")),
    _reason("LIVR_INCOMP", "Problème de livraison", "Delivery issue", "206 207",
            _("The delivery lacks something or is not as agreed."), **_B2G),
    _reason("MODPAI_ERR", "Modalités de paiement incorrectes", "Payment terms wrong", "206 207",
            _("The terms of payment, such as the due date, are not as agreed.")),
    _reason("AUTRE", "Autre", "Other", "206 207",
            _("None of the others; explain it in the text."), **_B2G),
    _reason("PU_ERR", "Prix unitaires incorrects", "Unit price wrong", "206 207",
            _("A unit price is not as agreed.")),
    _reason("REM_ERR", "Remise erronée", "Discount wrong", "206 207",
            _("A discount is absent, unexpected or not as agreed.")),
    _reason("COORD_BANC_ERR", "Erreur de coordonnées bancaires", "Bank details wrong", "207 208",
            _("The bank account to pay is absent or wrong."), **_B2G),
    _reason("JUSTIF_ABS", "Justificatif absent ou insuffisant", "Supporting document missing", "208",
            _("We need a document to go on; the seller answers with status 209.")),
    _reason("DEST_INC", "Destinataire inconnu", "Unknown recipient", "207 213",
            _("The directory knows no such recipient.")),
    _reason("NON_TRANSMISE", "Destinataire non connecté", "Not transmitted", "200",
            _("The buyer has no platform yet that could receive the invoice.")),
    _reason("ROUTAGE_ERR", "Erreur de routage", "Routing error", "221",
            _("The address was out of date; the same invoice can be sent again.")),
    _reason("RETRAIT_MAN_SERV", "Retrait manuel par le service", "Withdrawn by the service", "", **_B2G),
    _reason("ST_CT_NON_DECLAR", "Sous-traitant ou cotraitant non déclaré", "Undeclared subcontractor", "", **_B2G),
    _reason("SUPPR_COMP_AVOIR", "Suppression pour compensation d'avoirs", "Removed by credit note offset", "", **_B2G),
    _reason("TRANSF_PMNT_REGIE", "Transfert pour paiement en régie", "Moved to petty-cash payment", "", **_B2G),
    # In the closed list, but the Schematron 1.4.0.03 refuses it even on the public platform's 210.
    _reason("CONTACT_ACHTR", "Contacter votre acheteur", "Contact your buyer", ""),
    _reason("REJ_SEMAN", "Rejet sémantique", "Semantic rejection", "213 251 301",
            _("The content breaks a business rule.")),
    _reason("REJ_UNI", "Rejet sur contrôle d'unicité", "Uniqueness rejection", "213 251 301",
            _("The same thing was transmitted before.")),
    _reason("REJ_COH", "Rejet sur cohérence des données", "Consistency rejection", "213 251 301 401",
            _("Two parts of the content contradict each other.")),
    _reason("REJ_ADR", "Rejet sur contrôle d'adressage", "Addressing rejection", "213"),
    _reason("REJ_CONT_B2G", "Rejet sur contrôles métier B2G", "B2G check rejection", "213"),
    _reason("REJ_REF_PJ", "Rejet sur référence de pièce jointe", "Attachment reference rejection", "213"),
    _reason("REJ_ASS_PJ", "Rejet sur association de pièce jointe", "Attachment association rejection", "213"),
    _reason("IRR_VIDE_F", "Fichier vide", "Empty file", "501"),
    _reason("IRR_TYPE_F", "Type ou extension de fichier", "File type or extension", "501"),
    _reason("IRR_SYNTAX", "Erreur de syntaxe", "Syntax error", "501"),
    _reason("IRR_TAILLE_PJ", "Taille de pièce jointe", "Attachment size", "501"),
    _reason("IRR_NOM_PJ", "Nom de pièce jointe", "Attachment name", "501"),
    _reason("IRR_VID_PJ", "Pièce jointe vide", "Empty attachment", "501"),
    _reason("IRR_EXT_DOC", "Extension de pièce jointe", "Attachment extension", "501"),
    _reason("IRR_TAILLE_F", "Taille de fichier", "File size", "501"),
    _reason("IRR_ANTIVIRUS", "Contrôle antivirus", "Antivirus", "501"),
    _reason("IRR_NOM_F", "Nom de fichier", "File name", "501"),
    _reason("REJ_PER", "Contrôle de période", "Period check", "301", **_FOREIGN),
    _reason("REJ_VAL_INC", "Valeurs incorrectes", "Wrong values", "401", **_FOREIGN),
    _reason("REJ_RG", "Règles de gestion", "Business rules", "401 601", **_FOREIGN),
    _reason("REJ_HAB", "Droits et habilitations", "Rights and authorisations", "401 601", **_FOREIGN),
    _reason("REJ_INC", "Cohérence des statuts", "Consistency of statuses", "601", **_FOREIGN),
    _reason("REJ_INEX", "Statut non autorisé", "Status not allowed", "601", **_FOREIGN),
    _reason("REJ_ENCAISSEMENT", "Encaissement non réparti par taux de TVA", "Receipt not split by VAT rate", "601",
            **_FOREIGN),
    _reason("ANNUL_ENC", "Annulation d'encaissement", "Receipt taken back", "212", **_FOREIGN),
    _reason("CMD_EJ_ERR", "N° de commande/engagement incorrect", "Order or commitment number wrong", "", **_CHORUS),
    _reason("FACT_NON_CONFORME", "Facture non conforme à la commande", "Invoice differs from the order", "", **_CHORUS),
    _reason("MONTANT_ERR", "Montant erroné", "Amount wrong", "", **_CHORUS),
    _reason("MARCHE_TERM", "Marché terminé", "Public contract ended", "", **_CHORUS),
    _reason("CREANCIER_ERR", "Créancier inconnu", "Unknown creditor", "", **_CHORUS),
    _reason("SE_ERR", "Service destinataire incorrect", "Wrong receiving department", "", **_CHORUS),
    _reason("ERR_VALIDEUR", "Mauvais valideur", "Wrong validator", "", **_CHORUS),
    _reason("AUT_MOTIF_ERR_VALIDEUR", "Autre motif que mauvais valideur", "Reason other than a wrong validator", "",
            **_CHORUS),
    # Sent by the administration alone: the FNFE's list for a 501 has ten of its eighteen codes.
    _reason("IRR_TAILLE", "Taille de flux", "Flow size", "501",
            _("The whole flow is larger than allowed."), **_FOREIGN),
    _reason("IRR_UNICITE", "Unicité du flux", "Flow already received", "501",
            _("The administration has received this flow before."), **_FOREIGN),
    _reason("IRR_VIDE", "Flux vide", "Empty flow", "501", _("The envelope holds nothing."), **_FOREIGN),
    _reason("IRR_FORM", "Nom de l'enveloppe du flux", "Envelope name", "501",
            _("The name of the flow breaks the naming rule."), **_FOREIGN),
    _reason("IRR_TYPE", "Type ou extension du flux", "Flow type or extension", "501",
            _("The flow is neither an archive nor an XML file of the kinds taken."), **_FOREIGN),
    _reason("IRR_CODE_INTER", "Code interface inconnu", "Interface code unknown", "501",
            _("The interface the flow names does not exist."), **_FOREIGN),
    _reason("IRR_EXTRAC", "Extraction de l'archive", "Archive cannot be opened", "501",
            _("The archive could not be unpacked."), **_FOREIGN),
    _reason("IRR_CODE_APP", "Code application", "Application code unknown", "501",
            _("No connection exists for the application the flow names."), **_FOREIGN),
)
# fmt: on

# As table 3 of the DGFiP's general part prints it; annex 7 (G7.18) has the other.
MISPRINTED = {"IRR_UNCITE": "IRR_UNICITE"}

REASONS: Mapping[str, ReasonInfo] = {row.code: row for row in _REASON_ROWS}
CLOSED_LIST: tuple[str, ...] = tuple(row.code for row in _REASON_ROWS if row.closed_list)
